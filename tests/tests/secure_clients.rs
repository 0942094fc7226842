//! Other people's clients against a broker with an authorizer, by each way to say who one is: a certificate, PLAIN, both
//! SCRAM mechanisms and a token, all of it within TLS. `tests/clients/secure` has their scripts.

use net::tls::files;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::process::tls::Certificates;
use tests::process::tokens::TokenIssuer;
use tests::process::{Broker, BrokerOptions, binary, foreign, workspace_folder};

const PASSWORD: &str = "pencil-or-not";
const DAY: Duration = Duration::from_secs(86_400);

/// A broker, and the folder with what a client needs: `ca.pem`; of the user bob `user.pem`, `user.key`, `keystore.pem`,
/// `password` and `token`. The super user admin has the same password. `client.conf`s are made by who needs them.
struct Secured {
    broker: Broker,
    _certificates: Certificates,
    folder: PathBuf,
}

impl Secured {
    fn start() -> Self {
        let (certificates, issuer) = (Certificates::make(), TokenIssuer::generate());
        let mut broker = Broker::prepare(BrokerOptions { shards: 1, ..BrokerOptions::default() });
        let keys = broker.folder().join("jwks.json");
        issuer.write_keys(&keys);
        let settings = [
            "sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER",
            "ssl.client.auth=requested",
            "ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/, DEFAULT",
            &format!("sasl.oauthbearer.jwks.endpoint.url=file://{}", keys.display()),
        ];
        broker.options.set = settings.map(str::to_owned).to_vec();
        let (sasl, ssl) = (broker.ports.kafka() + 2, broker.ports.kafka() + 4);
        let node = certificates.node(0).display().to_string();
        let listeners = [format!("SASL=SASL_SSL://localhost:{sasl}"), format!("SSL=SSL://localhost:{ssl}")];
        let [sasl, ssl] = &listeners;
        let options = ["--tls-folder", &node, "--listener", sasl, "--listener", ssl];
        broker.options.arguments = options.map(str::to_owned).to_vec();
        // As talkative as it can be: no secret is told then, either.
        let talk = "--log=net=trace,axum=trace,hyper=trace,tokio=trace,info";
        broker.options.arguments.extend(["--super-user", "User:admin", talk].map(str::to_owned));
        broker.run();
        let folder = certificates.user("bob", DAY);
        files::write(&folder.join("password"), PASSWORD).expect("written");
        files::write(&folder.join("token"), &issuer.token("bob", 3600)).expect("written");
        let secured = Self { broker, _certificates: certificates, folder };
        for user in ["admin", "bob"] {
            let password = secured.folder.join("password").display().to_string();
            secured.command(&["user", "create", user, "--password-file", &password]);
        }
        secured
    }

    fn sasl(&self) -> String {
        format!("localhost:{}", self.broker.ports.kafka() + 2)
    }

    fn ssl(&self) -> String {
        format!("localhost:{}", self.broker.ports.kafka() + 4)
    }

    /// By the local administrator.
    fn command(&self, arguments: &[&str]) {
        let mut command = Command::new(binary::duramen());
        foreign::run(
            command.args(arguments).args(["--brokers", &self.broker.bootstrap()]).stdin(Stdio::null()),
        );
    }

    /// A topic that bob may use, with groups of its name, and one that he may not.
    fn with_topic(self, topic: &str) -> Self {
        let others = format!("others-{topic}");
        for name in [topic, &others] {
            self.command(&["topic", "create", name]);
        }
        let allow = ["acl", "create", "--allow", "User:bob"];
        let of_topic = ["--operation", "read", "--operation", "write", "--topic", topic];
        self.command(&[&allow[..], &of_topic].concat());
        let of_groups = ["--operation", "read", "--group", topic, "--prefixed"];
        self.command(&[&allow[..], &of_groups].concat());
        self
    }

    /// Runs a client with what all of them are given; it ends with "ok".
    fn serves(&self, client: &mut Command, topic: &str) {
        let command = client.arg(&self.folder).args([&self.sasl(), &self.ssl(), topic]).stdin(Stdio::null());
        let said = String::from_utf8_lossy(&foreign::run(command).stdout).into_owned();
        assert!(said.trim_end().ends_with("ok"), "{said}");
        // What it proved itself with is nowhere to be read.
        let told = self.broker.log() + &self.broker.metrics();
        let token = fs::read_to_string(self.folder.join("token")).expect("there");
        for secret in [PASSWORD, &token, "not-the-password"] {
            assert!(!told.contains(secret), "a secret is told of");
        }
    }
}

fn script(name: &str) -> PathBuf {
    workspace_folder().join("tests/clients/secure").join(name)
}

fn within(seconds: &str, program: &Path) -> Command {
    let mut command = Command::new("timeout");
    // Cargo's would give clients the library that these tests are linked with, which has no TLS.
    command.arg(seconds).arg(program).env_remove("LD_LIBRARY_PATH");
    command
}

#[test]
fn kafkajs() {
    let Some(modules) = foreign::node_modules("secure kafkajs") else { return };
    let secured = Secured::start().with_topic("kafkajs");
    let mut node = within("120", Path::new("node"));
    secured.serves(node.arg(script("kafkajs.js")).env("NODE_PATH", modules), "kafkajs");
}

#[test]
fn kafka_python() {
    let Some(python) = foreign::python("secure kafka-python") else { return };
    let secured = Secured::start().with_topic("kafka-python");
    secured.serves(within("120", &python).arg(script("kafka_python.py")), "kafka-python");
}

/// Its own tests of SASL and of SSL.
#[test]
fn kafka_pythons_own_tests() {
    if foreign::python("kafka-python's own tests of SASL and SSL").is_none() {
        return;
    }
    let secured = Secured::start();
    let authority = secured.broker.folder().join("authority");
    fs::create_dir(&authority).expect("made");
    fs::copy(secured.folder.join("ca.pem"), authority.join("ca-cert")).expect("copied");
    let mut suite = within("300", &workspace_folder().join("tests/suites/kafka-python"));
    suite.args(["secured", "-rp"]).env("SECURED_SASL", secured.sasl()).env("SECURED_SSL", secured.ssl());
    suite.env("SECURED_USER", "admin").env("SECURED_PASSWORD", PASSWORD).env("SECURED_CA", authority);
    let said = String::from_utf8_lossy(&foreign::run(&mut suite).stdout).into_owned();
    assert!(said.contains("11 passed"), "{said}");
}

#[test]
fn confluent_kafka() {
    let Some(python) = foreign::python("secure confluent-kafka") else { return };
    let secured = Secured::start().with_topic("confluent");
    secured.serves(within("120", &python).arg(script("confluent.py")), "confluent");
}

#[test]
fn franz_go() {
    let sources = workspace_folder().join("tests/clients/franz-go");
    let program = workspace_folder().join("target/suites/franz-go/client");
    fs::create_dir_all(program.parent().expect("a folder")).expect("made");
    let mut build = Command::new("go");
    // Go, and a way to its proxy, are not asked of a machine that tests this.
    match build.args(["build", "-o"]).arg(&program).arg(".").current_dir(sources).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            return foreign::say_skipped("secure franz-go", &String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => return foreign::say_skipped("secure franz-go", &error.to_string()),
    }
    let secured = Secured::start().with_topic("franz-go");
    secured.serves(&mut within("120", &program), "franz-go");
}

#[test]
fn kcat() {
    let Some(kcat) = foreign::kcat("secure kcat") else { return };
    let secured = Secured::start().with_topic("kcat");
    let file = |name: &str| secured.folder.join(name).display().to_string();
    let text = |name: &str| fs::read_to_string(file(name)).expect("there");
    let by_sasl = |mechanism: &str| {
        let login = format!("sasl.username=bob,sasl.password={}", text("password"));
        (secured.sasl(), format!("security.protocol=SASL_SSL,sasl.mechanism={mechanism},{login}"))
    };
    let own = format!("ssl.certificate.location={},ssl.key.location={}", file("user.pem"), file("user.key"));
    let ways = [
        (secured.ssl(), format!("security.protocol=SSL,{own}")),
        by_sasl("SCRAM-SHA-256"),
        by_sasl("SCRAM-SHA-512"),
        by_sasl("PLAIN"),
    ];
    for (number, (brokers, settings)) in ways.iter().enumerate() {
        let run = |arguments: &[&str]| {
            let mut command = within("60", &kcat);
            command.args(["-b", brokers, "-X", &format!("ssl.ca.location={}", file("ca.pem"))]);
            command.args(settings.split(',').flat_map(|setting| ["-X", setting]));
            command.args(arguments).stdin(Stdio::null()).output().expect("it starts")
        };
        let line = secured.broker.folder().join("line");
        fs::write(&line, format!("by way {number}")).expect("written");
        let line = line.display().to_string();
        let produced = run(&["-P", "-t", "kcat", "-p", "0", &line]);
        assert!(produced.status.success(), "{settings}: {}", String::from_utf8_lossy(&produced.stderr));
        let got = run(&["-C", "-t", "kcat", "-p", "0", "-o", &number.to_string(), "-c", "1", "-q"]);
        assert_eq!(String::from_utf8_lossy(&got.stdout).trim_end(), format!("by way {number}"));
        let denied = run(&["-C", "-t", "others-kcat", "-p", "0", "-o", "beginning", "-e"]);
        let said = String::from_utf8_lossy(&denied.stderr).into_owned();
        assert!(!denied.status.success() && said.contains("uthorization"), "{said}");
    }
}

/// Kafka's tools, and with them its Java client; nothing happens where Java or the jars are missing.
#[test]
fn java() {
    let secured = Secured::start();
    let mut java = within("400", &workspace_folder().join("tests/kafka-tools/secure"));
    java.arg(&secured.folder).args([secured.sasl(), secured.ssl()]).stdin(Stdio::null());
    foreign::run_case("secure Java", &mut java);
}
