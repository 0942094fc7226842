// franz-go against a broker with an authorizer, by each way to say who one is: what a rule allows is done, what none allows
// is refused. Arguments as those of secure/kafkajs.js. Ends with "ok".
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const records = 200

func must(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func main() {
	folder, overSASL, overTLS, topic := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	text := func(name string) string {
		bytes, err := os.ReadFile(folder + "/" + name)
		must(err, name)
		return strings.TrimSpace(string(bytes))
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(text("ca.pem")))
	own, err := tls.LoadX509KeyPair(folder+"/user.pem", folder+"/user.key")
	must(err, "the certificate")
	within := func(certificates ...tls.Certificate) kgo.Opt {
		return kgo.DialTLSConfig(&tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: certificates})
	}
	by := func(mechanism kgo.Opt) []kgo.Opt { return []kgo.Opt{kgo.SeedBrokers(overSASL), within(), mechanism} }
	ways := map[string][]kgo.Opt{
		"certificate":   {kgo.SeedBrokers(overTLS), within(own)},
		"SCRAM-SHA-256": by(kgo.SASL(scram.Auth{User: "bob", Pass: text("password")}.AsSha256Mechanism())),
		"SCRAM-SHA-512": by(kgo.SASL(scram.Auth{User: "bob", Pass: text("password")}.AsSha512Mechanism())),
		"PLAIN":         by(kgo.SASL(plain.Auth{User: "bob", Pass: text("password")}.AsMechanism())),
		"OAUTHBEARER":   by(kgo.SASL(oauth.Auth{Token: text("token")}.AsMechanism())),
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	for name, way := range ways {
		client, err := kgo.NewClient(append(way, kgo.ConsumerGroup(topic+"-"+name), kgo.ConsumeTopics(topic),
			kgo.RecordDeliveryTimeout(30*time.Second), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
		must(err, name)
		all := make([]*kgo.Record, records)
		for n := range all {
			all[n] = &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%s %d", name, n)}
		}
		must(client.ProduceSync(ctx, all...).FirstErr(), name)
		err = client.ProduceSync(ctx, &kgo.Record{Topic: "others-" + topic, Value: []byte("x")}).FirstErr()
		if !errors.Is(err, kerr.TopicAuthorizationFailed) {
			must(fmt.Errorf("%v", err), name+": what no rule allows")
		}
		for seen := 0; seen < records; {
			fetched := client.PollFetches(ctx)
			must(fetched.Err(), name)
			fetched.EachRecord(func(one *kgo.Record) {
				if strings.HasPrefix(string(one.Value), name+" ") {
					seen++
				}
			})
		}
		client.Close()
	}
	wrong := kgo.SASL(scram.Auth{User: "bob", Pass: "not-the-password"}.AsSha512Mechanism())
	stranger, err := kgo.NewClient(by(wrong)...)
	must(err, "a stranger")
	err = stranger.Ping(ctx)
	if !errors.Is(err, kerr.SaslAuthenticationFailed) {
		must(fmt.Errorf("%v", err), "a wrong password")
	}
	stranger.Close()
	fmt.Println("ok")
}
