//! The options of all clients of ours, on the command line and in a profile file.

use super::how::{Access, ClientLogin, LoginMechanism};
use crate::process::refusal::Refusal;
use crate::process::secret_file;
use crate::tls::files;
use clap::Args;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How to reach brokers. The profile's keys are the long names without their dashes, and `password`.
#[derive(Args, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessOptions {
    /// Speak TLS, and trust brokers with a certificate of these authorities (PEM)
    #[arg(long, value_name = "FILE", global = true)]
    pub tls_ca: Option<PathBuf>,

    /// Show this certificate (PEM) to brokers that ask for one
    #[arg(long, value_name = "FILE", global = true)]
    pub tls_cert: Option<PathBuf>,

    /// Its key (PEM), readable by its owner alone
    #[arg(long, value_name = "FILE", global = true)]
    pub tls_key: Option<PathBuf>,

    /// Who to be, by SASL
    #[arg(long, value_name = "NAME", global = true)]
    pub user: Option<String>,

    /// A file whose first line is the user's password, readable by its owner alone; `-` is the standard
    /// input. Without, it is asked for
    #[arg(long, value_name = "FILE", global = true)]
    pub password_file: Option<PathBuf>,

    /// How to prove it [default: SCRAM-SHA-512]
    #[arg(long, value_name = "MECHANISM", global = true)]
    pub sasl_mechanism: Option<LoginMechanism>,

    /// A TOML file with these options as keys, and `password`; readable by its owner alone. The command
    /// line wins over it
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip)]
    pub profile: Option<PathBuf>,

    #[arg(skip)]
    pub(super) password: Option<Secret>,
}

/// A password: no log and no message shows it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Secret(…)")
    }
}

impl AccessOptions {
    /// What they come to; reads the files that they name, and asks for a password that they do not.
    pub fn resolve(&self) -> Result<Access, Refusal> {
        let all = match &self.profile {
            None => self.clone(),
            Some(path) => self.clone().over(profile(path)?),
        };
        let tls = all.tls()?.map(Arc::new);
        let login = all.login()?;
        Ok(Access { tls, login })
    }

    fn over(self, profile: Self) -> Self {
        // A password belongs to its user, and the file's to the file's.
        let (is_files_user, has_file) = (self.user.is_none(), self.password_file.is_some());
        Self {
            tls_ca: self.tls_ca.or(profile.tls_ca),
            tls_cert: self.tls_cert.or(profile.tls_cert),
            tls_key: self.tls_key.or(profile.tls_key),
            user: self.user.or(profile.user),
            password_file: self.password_file.or(profile.password_file.filter(|_| is_files_user)),
            sasl_mechanism: self.sasl_mechanism.or(profile.sasl_mechanism),
            profile: None,
            password: profile.password.filter(|_| is_files_user && !has_file),
        }
    }

    fn tls(&self) -> Result<Option<ClientConfig>, Refusal> {
        let Some(ca) = &self.tls_ca else {
            if self.tls_cert.is_some() || self.tls_key.is_some() {
                let what = "a certificate to show, and no TLS to show it in";
                return Err(Refusal::usage(what, "add --tls-ca FILE, with whom to trust"));
            }
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca)? {
            roots.add(certificate).map_err(|error| bad_file(ca, &error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what it takes")
            .with_root_certificates(roots);
        match (&self.tls_cert, &self.tls_key) {
            (None, None) => Ok(Some(builder.with_no_client_auth())),
            (Some(own), Some(key_file)) => {
                let key =
                    files::read_secret(key_file).map_err(|error| bad_file(key_file, &error.to_string()))?;
                let key = Zeroizing::new(key);
                let key = PrivateKeyDer::from_pem_slice(&key)
                    .map_err(|_| bad_file(key_file, "it holds no private key"))?;
                let config = builder.with_client_auth_cert(certificates(own)?, key);
                config.map(Some).map_err(|error| bad_file(own, &error.to_string()))
            }
            _ => {
                let what = "--tls-cert and --tls-key go together, and one of them is missing";
                Err(Refusal::usage(what, "give both, or neither"))
            }
        }
    }

    fn login(&self) -> Result<Option<ClientLogin>, Refusal> {
        let Some(user) = &self.user else {
            if self.password_file.is_some() || self.password.is_some() || self.sasl_mechanism.is_some() {
                let what = "a password or a mechanism, and no user that it is of";
                return Err(Refusal::usage(what, "add --user NAME"));
            }
            return Ok(None);
        };
        if user.is_empty() || user.contains('\0') {
            return Err(Refusal::usage("--user is empty, or has a zero byte", "name a user"));
        }
        let password = match (&self.password_file, &self.password) {
            (Some(path), _) => secret_file::first_line(path)?,
            (None, Some(Secret(password))) => password.clone(),
            (None, None) => asked_for(user)?,
        };
        let password = Zeroizing::new(password.into_bytes());
        if password.is_empty() || password.contains(&0) {
            let what = format!("the password of {user} is empty, or has a zero byte");
            return Err(Refusal::usage(what, "give the one that the user has"));
        }
        let mechanism = self.sasl_mechanism.unwrap_or(LoginMechanism::ScramSha512);
        Ok(Some(ClientLogin { user: user.clone(), password, mechanism }))
    }
}

fn asked_for(user: &str) -> Result<String, Refusal> {
    if !std::io::stdin().is_terminal() {
        let what = format!("the password of {user} is not given, and there is no terminal to ask at");
        return Err(Refusal::usage(what, "add --password-file FILE, or a --profile with it"));
    }
    rpassword::prompt_password(format!("password of {user}: "))
        .map_err(|error| Refusal::environment(format!("no password: {error}"), "add --password-file FILE"))
}

fn profile(path: &Path) -> Result<AccessOptions, Refusal> {
    let text = files::read_secret(path).map_err(|error| bad_file(path, &error.to_string()))?;
    let text = Zeroizing::new(text);
    let text = core::str::from_utf8(&text).map_err(|_| bad_file(path, "it is not UTF-8"))?;
    // The message alone: what it shows around the place may be the password.
    toml::from_str(text).map_err(|error: toml::de::Error| bad_file(path, error.message()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let text = files::read(path).map_err(|error| bad_file(path, &error.to_string()))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(bad_file(path, "it holds no certificate")),
        Err(error) => Err(bad_file(path, &error.to_string())),
    }
}

fn bad_file(path: &Path, why: &str) -> Refusal {
    Refusal::usage(format!("{}: {why}", path.display()), "see --help for what the file is to hold")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn put(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("owned");
    }

    fn refused(options: &AccessOptions) -> String {
        options.resolve().expect_err("refused").to_string()
    }

    #[test]
    fn a_profile_says_who_to_be_and_the_command_line_wins() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("profile");
        put(&path, "user = \"anna\"\npassword = \"pencil\"\nsasl-mechanism = \"PLAIN\"\n", 0o600);
        let with = |user: Option<&str>, password_file: Option<&Path>| AccessOptions {
            profile: Some(path.clone()),
            user: user.map(str::to_owned),
            password_file: password_file.map(Path::to_owned),
            ..AccessOptions::default()
        };
        let login = with(None, None).resolve().expect("whole").login.expect("a user");
        assert_eq!((login.user.as_str(), &login.password[..]), ("anna", &b"pencil"[..]));
        assert_eq!(login.mechanism, LoginMechanism::Plain);
        let other = folder.path().join("password");
        put(&other, "eraser\n", 0o600);
        let login = with(Some("bert"), Some(&other)).resolve().expect("whole").login.expect("a user");
        assert_eq!((login.user.as_str(), &login.password[..]), ("bert", &b"eraser"[..]));
        let login = with(None, Some(&other)).resolve().expect("whole").login.expect("a user");
        assert_eq!((login.user.as_str(), &login.password[..]), ("anna", &b"eraser"[..]));
        assert!(!format!("{:?}", with(None, None)).contains("pencil"));
    }

    #[test]
    fn files_with_secrets_that_others_may_read_are_refused_and_shown_by_no_message() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("profile");
        let options = AccessOptions { profile: Some(path.clone()), ..AccessOptions::default() };
        put(&path, "user = \"anna\"\npassword = \"pencil\"\n", 0o644);
        assert!(refused(&options).contains("chmod 600"));
        for wrong in
            ["password = \"pencil\"\nuser = 7\n", "pasword = \"pencil\"\n", "password = \"pencil\" x\n"]
        {
            put(&path, wrong, 0o600);
            let refused = refused(&options);
            assert!(!refused.contains("pencil"), "{refused}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let of = |change: fn(&mut AccessOptions)| {
            let mut options = AccessOptions::default();
            change(&mut options);
            refused(&options)
        };
        assert!(of(|options| options.tls_cert = Some("x".into())).contains("--tls-ca"));
        assert!(of(|options| options.sasl_mechanism = Some(LoginMechanism::Plain)).contains("--user"));
        assert!(of(|options| options.tls_ca = Some("/nowhere/ca.pem".into())).contains("/nowhere/ca.pem"));
        assert!(AccessOptions::default().resolve().is_ok_and(|access| access.is_plain()));
    }

    #[test]
    fn certificates_of_duramen_ca_are_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let ca = folder.path().join("ca");
        let day = std::time::Duration::from_secs(86_400);
        let authority =
            crate::tls::authority::CertificateAuthority::init(&ca, "here", 10 * day).expect("made");
        let user = authority.user("anna", day).expect("made");
        let options = AccessOptions {
            tls_ca: Some(ca.join(files::CA)),
            tls_cert: Some(user.join(files::USER)),
            tls_key: Some(user.join(files::USER_KEY)),
            ..AccessOptions::default()
        };
        assert!(options.resolve().expect("whole").tls.is_some());
        let half = AccessOptions { tls_key: None, ..options.clone() };
        assert!(refused(&half).contains("go together"));
        let swapped = AccessOptions { tls_key: options.tls_cert.clone(), ..options.clone() };
        assert!(refused(&swapped).contains("no private key"));
    }
}
