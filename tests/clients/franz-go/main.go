// franz-go over SASL_SSL against a broker with an authorizer: what a rule allows is done, what none allows is refused.
// Arguments: bootstrap servers, a topic that the user bob may use, the authority's file, the password's file. Ends with "ok".
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
	"github.com/twmb/franz-go/pkg/sasl"
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
	bootstrap, topic := os.Args[1], os.Args[2]
	pem, err := os.ReadFile(os.Args[3])
	must(err, "the authority")
	secret, err := os.ReadFile(os.Args[4])
	must(err, "the password")
	password := strings.TrimSpace(string(secret))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	within := kgo.DialTLSConfig(&tls.Config{RootCAs: roots, ServerName: "localhost"})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	mechanisms := map[string]func(string) sasl.Mechanism{
		"SCRAM-SHA-256": func(p string) sasl.Mechanism { return scram.Auth{User: "bob", Pass: p}.AsSha256Mechanism() },
		"SCRAM-SHA-512": func(p string) sasl.Mechanism { return scram.Auth{User: "bob", Pass: p}.AsSha512Mechanism() },
		"PLAIN":         func(p string) sasl.Mechanism { return plain.Auth{User: "bob", Pass: p}.AsMechanism() },
	}
	for name, mechanism := range mechanisms {
		client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), within, kgo.SASL(mechanism(password)),
			kgo.ConsumerGroup(topic+"-"+name), kgo.ConsumeTopics(topic), kgo.RecordDeliveryTimeout(30*time.Second),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		must(err, name)
		for n := 0; n < records; n++ {
			one := &kgo.Record{Topic: topic, Value: []byte(fmt.Sprintf("go %s %d", name, n))}
			must(client.ProduceSync(ctx, one).FirstErr(), name)
		}
		err = client.ProduceSync(ctx, &kgo.Record{Topic: topic + "-of-others", Value: []byte("x")}).FirstErr()
		if !errors.Is(err, kerr.TopicAuthorizationFailed) {
			must(fmt.Errorf("%v", err), name+": what no rule allows")
		}
		for seen := 0; seen < records; {
			fetched := client.PollFetches(ctx)
			must(fetched.Err(), name)
			fetched.EachRecord(func(one *kgo.Record) {
				if strings.HasPrefix(string(one.Value), "go "+name+" ") {
					seen++
				}
			})
		}
		client.Close()
		stranger, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), within,
			kgo.SASL(mechanism("not-the-password")))
		must(err, name)
		brief, stop := context.WithTimeout(ctx, 3*time.Second)
		if stranger.Ping(brief) == nil {
			must(errors.New("let in"), name+": a wrong password")
		}
		stop()
		stranger.Close()
	}
	fmt.Println("ok")
}
