//! TLS as the options and Kafka's settings have it: where certificates are, whether clients show theirs, and who they
//! are by them.

use crate::process::listeners::Listeners;
use crate::process::refusal::Refusal;
use crate::tls::live::{LiveTls, TlsAsked};
use crate::tls::material::{ClientCertificates, TlsPaths};
use crate::tls::principal::PrincipalRules;
use engine::ids::NodeId;
use std::path::PathBuf;
use std::sync::Arc;

/// Where certificates are, as the options say.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    pub folder: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub ca: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct TlsConfig {
    pub paths: TlsPaths,
    asked: TlsAsked,
    rules: PrincipalRules,
}

const CLIENT_AUTH: &str = "ssl.client.auth";
const MAPPING_RULES: &str = "ssl.principal.mapping.rules";
const REMEDY: &str =
    "make them with `duramen ca node ID --ca DIR --host NAME`, and name the folder with --tls-folder DIR";

impl TlsConfig {
    /// None where nothing is said of certificates; then no listener may need them.
    pub fn check(
        options: TlsOptions,
        kafka: &[(String, String)],
        listeners: &Listeners,
        node: Option<NodeId>,
    ) -> Result<Option<Self>, Refusal> {
        let paths = options.paths()?;
        let encrypted = listeners.0.iter().find(|one| one.listener.protocol.is_encrypted());
        let Some(paths) = paths else {
            let listener = encrypted.map(|one| format!("--listener {}", one.described()));
            return match listener.or(node.map(|_| "--peer-tls".to_owned())) {
                None => Ok(None),
                Some(option) => Err(Refusal::usage(format!("{option} needs certificates"), REMEDY)),
            };
        };
        let value = |name| kafka.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let clients =
            value(CLIENT_AUTH).map(|value| ClientCertificates::named(value).expect("checked as a setting"));
        let rules = PrincipalRules::parse(value(MAPPING_RULES).unwrap_or_default()).map_err(|what| {
            let remedy =
                "write RULE:PATTERN/REPLACEMENT/ with L or U behind, or DEFAULT, with commas between";
            Refusal::usage(format!("{MAPPING_RULES}: {what}"), remedy)
        })?;
        let asked = TlsAsked { clients: clients.unwrap_or_default(), node };
        Ok(Some(Self { paths, asked, rules }))
    }

    /// Reads the files.
    pub fn load(&self) -> Result<Arc<LiveTls>, Refusal> {
        LiveTls::load(self.paths.clone(), self.asked, self.rules.clone())
            .map_err(|error| Refusal::usage(error.to_string(), REMEDY))
    }
}

impl TlsOptions {
    /// Each file where it is named, else in the folder.
    fn paths(self) -> Result<Option<TlsPaths>, Refusal> {
        let in_folder = self.folder.as_deref().map(TlsPaths::in_folder);
        let file = |given: Option<PathBuf>, of_folder: fn(TlsPaths) -> PathBuf| {
            given.or_else(|| in_folder.clone().map(of_folder))
        };
        let certificate = file(self.certificate, |paths| paths.certificate);
        let key = file(self.key, |paths| paths.key);
        let ca = file(self.ca, |paths| paths.ca);
        match (certificate, key, ca) {
            (None, None, None) => Ok(None),
            (Some(certificate), Some(key), Some(ca)) => Ok(Some(TlsPaths { certificate, key, ca })),
            _ => {
                let what = "--tls-certificate, --tls-key and --tls-ca go together";
                Err(Refusal::usage(what, "give all three, or --tls-folder with the files in it"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        options: TlsOptions,
        kafka: &[(&str, &str)],
        named: &[&str],
    ) -> Result<Option<TlsConfig>, Refusal> {
        let named: Vec<String> = named.iter().map(|one| (*one).to_owned()).collect();
        let listeners = Listeners::parse(None, &named, &[]).expect("good");
        let kafka: Vec<_> =
            kafka.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TlsConfig::check(options, &kafka, &listeners, None)
    }

    #[test]
    fn a_listener_within_tls_needs_certificates() {
        let ssl = ["A=SSL://127.0.0.1:9192"];
        assert!(check(TlsOptions::default(), &[], &[]).expect("nothing is needed").is_none());
        let refused = check(TlsOptions::default(), &[], &ssl).expect_err("refused").to_string();
        assert!(refused.contains("A=SSL://127.0.0.1:9192") && refused.contains("--tls-folder"), "{refused}");
        let folder = TlsOptions { folder: Some("/f".into()), ..TlsOptions::default() };
        let config = check(folder, &[("ssl.client.auth", "required")], &ssl).expect("good").expect("some");
        assert_eq!(config.asked.clients, ClientCertificates::Required);
        assert_eq!(config.paths.key, PathBuf::from("/f/node.key"));
    }

    #[test]
    fn files_may_be_named_one_by_one_and_then_all() {
        let certificate = TlsOptions { certificate: Some("/a".into()), ..TlsOptions::default() };
        assert!(check(certificate.clone(), &[], &[]).is_err());
        let with_folder = TlsOptions { folder: Some("/f".into()), ..certificate };
        let paths = check(with_folder, &[], &[]).expect("good").expect("some").paths;
        assert_eq!((paths.certificate, paths.ca), ("/a".into(), "/f/ca.pem".into()));
    }

    #[test]
    fn rules_are_read_before_the_first_client_comes() {
        let folder = TlsOptions { folder: Some("/f".into()), ..TlsOptions::default() };
        let refused = check(folder, &[("ssl.principal.mapping.rules", "RULE:a")], &[]).expect_err("refused");
        assert!(refused.to_string().contains("ssl.principal.mapping.rules"), "{refused}");
    }
}
