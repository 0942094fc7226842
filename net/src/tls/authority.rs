//! A certificate authority in a folder, for one cluster and its clients: made once, it makes certificates for nodes
//! and users. All keys are ECDSA P-256: an RSA-4096 signature would hold a shard for 5 to 8 ms.

use super::files;
use super::node_name::{self, NodeName};
use crate::process::entropy;
use engine::ids::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use x509_parser::pem::Pem;
use x509_parser::prelude::GeneralName;

/// Clocks of machines differ: a certificate counts from a little before it was made.
const BEFORE: Duration = Duration::from_secs(300);

/// An authority of which key and certificate are at hand.
pub struct CertificateAuthority {
    folder: PathBuf,
    /// Its certificate, as others get it.
    ca: String,
    issuer: Issuer<'static, KeyPair>,
    pub trust_domain: String,
}

/// A certificate and its key.
struct Made {
    certificate: String,
    key: String,
}

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} is there already: an authority is made once, and all that it made is void without it", .0.display())]
    Exists(PathBuf),
    #[error("{}: {what}", path.display())]
    NotAnAuthority { path: PathBuf, what: String },
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
}

impl CertificateAuthority {
    /// Makes one in a folder that has none.
    pub fn init(folder: &Path, trust_domain: &str, valid_for: Duration) -> Result<Self, AuthorityError> {
        assert!(node_name::is_trust_domain(trust_domain), "{trust_domain}");
        make_folder(folder)?;
        for name in [files::CA, files::CA_KEY] {
            let path = folder.join(name);
            if path.exists() {
                return Err(AuthorityError::Exists(path));
            }
        }
        // Two authorities have two names: whoever trusts one is told of the other that it is not known.
        let [number] = entropy::random();
        let mut params = params(&format!("Duramen CA {:08x}", number as u32), valid_for);
        params.distinguished_name.push(DnType::OrganizationName, trust_domain);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![uri(&node_name::of_domain(trust_domain))?];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?.pem();
        // The key first: without it the certificate would be of no use, and in the way.
        write(&folder.join(files::CA_KEY), &key.serialize_pem())?;
        write(&folder.join(files::CA), &certificate)?;
        Self::open(folder)
    }

    /// The one in a folder.
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        let read = |name: &str, read: fn(&Path) -> io::Result<Vec<u8>>| {
            let path = folder.join(name);
            let file = |error| AuthorityError::File { path: path.clone(), error };
            let bytes = read(&path).map_err(file)?;
            String::from_utf8(bytes).map_err(|_| AuthorityError::NotAnAuthority {
                path: path.clone(),
                what: "it is no PEM file".to_owned(),
            })
        };
        let ca = read(files::CA, files::read)?;
        let key = KeyPair::from_pem(&read(files::CA_KEY, files::read_secret)?)?;
        let none = |what: &str| AuthorityError::NotAnAuthority {
            path: folder.join(files::CA),
            what: what.to_owned(),
        };
        let trust_domain = trust_domain(&ca)
            .ok_or_else(|| none("it names no trust domain: make it with `duramen ca init`"))?;
        let issuer = Issuer::from_ca_cert_pem(&ca, key)?;
        Ok(Self { folder: folder.to_owned(), ca, issuer, trust_domain })
    }

    /// Makes a node's certificate, or makes it anew; gives the folder with it.
    pub fn node(
        &self,
        node: NodeId,
        hosts: &[String],
        valid_for: Duration,
    ) -> Result<PathBuf, AuthorityError> {
        let mut params = params(&format!("node-{node}"), valid_for);
        let name = NodeName { trust_domain: self.trust_domain.clone(), node };
        params.subject_alt_names = vec![uri(&name.to_string())?];
        for host in hosts {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.as_str().try_into()?),
            });
        }
        // A node calls other nodes as well.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let made = self.make(params)?;
        let folder = self.folder.join(format!("node-{node}"));
        self.write(&folder, &[(files::NODE_KEY, &made.key), (files::NODE, &made.certificate)])?;
        Ok(folder)
    }

    /// Makes a user's certificate, or makes it anew; gives the folder with it.
    pub fn user(&self, name: &str, valid_for: Duration) -> Result<PathBuf, AuthorityError> {
        let mut params = params(name, valid_for);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let made = self.make(params)?;
        let folder = self.folder.join(format!("user-{name}"));
        let keystore = made.key.clone() + &made.certificate;
        let files = [
            (files::USER_KEY, &made.key),
            (files::USER, &made.certificate),
            (files::USER_KEYSTORE, &keystore),
        ];
        self.write(&folder, &files)?;
        Ok(folder)
    }

    fn make(&self, mut params: CertificateParams) -> Result<Made, AuthorityError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Made { certificate, key: key.serialize_pem() })
    }

    fn write(&self, folder: &Path, made: &[(&str, &String)]) -> Result<(), AuthorityError> {
        make_folder(folder)?;
        write(&folder.join(files::CA), &self.ca)?;
        made.iter().try_for_each(|(name, text)| write(&folder.join(name), text))
    }
}

fn params(common_name: &str, valid_for: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = SystemTime::now();
    params.not_before = OffsetDateTime::from(now - BEFORE);
    params.not_after = OffsetDateTime::from(now + valid_for);
    params
}

fn uri(text: &str) -> Result<SanType, rcgen::Error> {
    Ok(SanType::URI(text.try_into()?))
}

/// The domain that an authority's certificate names.
fn trust_domain(pem: &str) -> Option<String> {
    let pem = Pem::iter_from_buffer(pem.as_bytes()).next()?.ok()?;
    let certificate = pem.parse_x509().ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => node_name::domain(uri).map(str::to_owned),
        _ => None,
    })
}

fn make_folder(folder: &Path) -> Result<(), AuthorityError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| AuthorityError::File { path: folder.to_owned(), error })
}

fn write(path: &Path, text: &str) -> Result<(), AuthorityError> {
    files::write(path, text).map_err(|error| AuthorityError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// Names in a certificate, and whether it was made by the authority.
    fn names(certificate: &Path, ca: &Path) -> (String, Vec<String>, bool) {
        let read =
            |path: &Path| Pem::iter_from_buffer(&std::fs::read(path).unwrap()).next().unwrap().unwrap();
        let (pem, ca) = (read(certificate), read(ca));
        let (certificate, ca) = (pem.parse_x509().unwrap(), ca.parse_x509().unwrap());
        let names = certificate.subject_alternative_name().unwrap();
        let names = names.map_or(Vec::new(), |names| {
            names.value.general_names.iter().map(|name| format!("{name:?}")).collect()
        });
        let is_made = certificate.issuer() == ca.subject() && ca.is_ca() && !certificate.is_ca();
        (certificate.subject().to_string(), names, is_made)
    }

    #[test]
    fn an_authority_makes_nodes_and_users_and_makes_them_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("ca");
        CertificateAuthority::init(&folder, "prod", DAY).expect("made");
        let authority = CertificateAuthority::open(&folder).expect("opened");
        assert_eq!(authority.trust_domain, "prod");
        let hosts = ["b.example".to_owned(), "10.0.0.7".to_owned()];
        let node = authority.node(NodeId(3), &hosts, DAY).expect("made");
        let (subject, names_of, is_made) = names(&node.join(files::NODE), &folder.join(files::CA));
        assert_eq!((subject.as_str(), is_made), ("CN=node-3", true));
        for expected in ["duramen://prod/node/3", "b.example"] {
            assert!(names_of.iter().any(|name| name.contains(expected)), "{names_of:?}");
        }
        let first = std::fs::read(node.join(files::NODE_KEY)).expect("a key");
        authority.node(NodeId(3), &hosts, DAY).expect("made anew");
        assert_ne!(std::fs::read(node.join(files::NODE_KEY)).expect("a key"), first, "a new key each time");
        let user = authority.user("alice", DAY).expect("made");
        let (subject, names_of, is_made) = names(&user.join(files::USER), &folder.join(files::CA));
        assert_eq!((subject.as_str(), names_of.len(), is_made), ("CN=alice", 0, true));
    }

    #[test]
    fn an_authority_is_made_once() {
        let folder = tempfile::tempdir().expect("a folder");
        CertificateAuthority::init(folder.path(), "prod", DAY).expect("made");
        let again = CertificateAuthority::init(folder.path(), "prod", DAY);
        assert!(matches!(again, Err(AuthorityError::Exists(_))));
        assert!(matches!(
            CertificateAuthority::open(&folder.path().join("none")),
            Err(AuthorityError::File { .. })
        ));
    }

    #[test]
    fn a_certificate_without_a_trust_domain_is_no_authority() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let certificate = params("other", DAY).self_signed(&key).expect("a certificate");
        files::write(&folder.path().join(files::CA), &certificate.pem()).expect("written");
        files::write(&folder.path().join(files::CA_KEY), &key.serialize_pem()).expect("written");
        assert!(matches!(
            CertificateAuthority::open(folder.path()),
            Err(AuthorityError::NotAnAuthority { .. })
        ));
    }
}
