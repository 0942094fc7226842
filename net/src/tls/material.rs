//! A node's certificates and key as its files have them, and what rustls makes of them.

use super::files;
use super::peers::PeerConfigs;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SignatureAlgorithm};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPaths {
    /// The node's own, then what leads from it to the authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose certificates count.
    pub ca: PathBuf,
}

impl TlsPaths {
    /// As `duramen ca node` writes them.
    pub fn in_folder(folder: &Path) -> Self {
        let file = |name| folder.join(name);
        Self { certificate: file(files::NODE), key: file(files::NODE_KEY), ca: file(files::CA) }
    }
}

/// Whether clients show certificates (Kafka's `ssl.client.auth`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    #[default]
    None,
    /// One that is shown must be good; a client without one is nobody.
    Requested,
    Required,
}

impl ClientCertificates {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "requested" => Some(Self::Requested),
            "required" => Some(Self::Required),
            _ => None,
        }
    }
}

/// What the files held, all of it.
pub struct TlsMaterial {
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
    /// Until when the node's certificate counts, seconds since 1970.
    pub not_after: i64,
    /// The bytes of all files: whether something changed.
    bytes: Vec<Vec<u8>>,
}

#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct TlsFileError {
    pub path: PathBuf,
    pub what: String,
}

impl TlsMaterial {
    pub fn load(paths: &TlsPaths) -> Result<Self, TlsFileError> {
        let read = |path: &Path, read: fn(&Path) -> std::io::Result<Vec<u8>>| {
            read(path).map_err(|error| wrong(path, error.to_string()))
        };
        let certificate = read(&paths.certificate, files::read)?;
        let key = read(&paths.key, files::read_secret)?;
        let ca = read(&paths.ca, files::read)?;
        let certificates = certificates(&paths.certificate, &certificate)?;
        let not_after = not_after(&certificates[0]).map_err(|what| wrong(&paths.certificate, what))?;
        let mut roots = RootCertStore::empty();
        for root in self::certificates(&paths.ca, &ca)? {
            roots.add(root).map_err(|error| wrong(&paths.ca, error.to_string()))?;
        }
        let parsed = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| wrong(&paths.key, format!("no private key in PEM: {error}")))?;
        let material = Self {
            certificates,
            key: parsed,
            roots: Arc::new(roots),
            not_after,
            bytes: vec![certificate, key, ca],
        };
        // What does not fit together is found now, not by the first client.
        material
            .for_clients(ClientCertificates::None)
            .map_err(|error| wrong(&paths.key, error.to_string()))?;
        Ok(material)
    }

    pub fn is_same_as(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }

    /// An RSA signature holds a shard for milliseconds.
    pub fn has_rsa_key(&self) -> bool {
        let key = default_provider().key_provider.load_private_key(self.key.clone_key());
        key.is_ok_and(|key| key.algorithm() == SignatureAlgorithm::RSA)
    }

    /// How other nodes are spoken to.
    pub fn for_peers(&self) -> Result<PeerConfigs, String> {
        PeerConfigs::of(&self.certificates, &self.key, &self.roots)
    }

    /// How clients are served: TLS 1.2 and 1.3 as rustls has them by default.
    pub fn for_clients(&self, certificates: ClientCertificates) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match certificates {
            ClientCertificates::None => builder.with_no_client_auth(),
            asked => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider);
                let verifier = match asked {
                    ClientCertificates::Requested => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(self.certificates.clone(), self.key.clone_key())?;
        if certificates != ClientCertificates::None {
            // Who comes again is asked again: a certificate may have run out meanwhile.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        assert_eq!(config.max_early_data_size, 0, "early data could be replayed");
        Ok(config)
    }
}

fn wrong(path: &Path, what: String) -> TlsFileError {
    TlsFileError { path: path.to_owned(), what }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates =
        certificates.map_err(|error| wrong(path, format!("no certificate in PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(wrong(path, "no certificate in it".to_owned()));
    }
    Ok(certificates)
}

fn not_after(certificate: &CertificateDer<'_>) -> Result<i64, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    Ok(parsed.validity().not_after.timestamp())
}
