//! TLS between nodes: version 1.3 alone, both ends show certificates of the authority, and a certificate names its node.
//! No early data and no tickets: each link proves anew who is at its ends.

use super::node_name::NodeName;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore, ServerConfig,
    SignatureScheme,
};
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// How a node speaks to others with the certificates of one look at the files.
pub struct PeerConfigs {
    /// This node's own name.
    pub own: NodeName,
    pub answering: Arc<ServerConfig>,
    pub calling: Arc<ClientConfig>,
    verifier: Arc<NodeVerifier>,
}

impl PeerConfigs {
    pub fn of(
        certificates: &[CertificateDer<'static>],
        key: &PrivateKeyDer<'static>,
        roots: &Arc<RootCertStore>,
    ) -> Result<Self, String> {
        let text = |error: Error| error.to_string();
        let own = node_name(&certificates[0]).ok_or("it names no node: make it with `duramen ca node`")?;
        let provider = Arc::new(default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Arc::new(NodeVerifier { roots: Arc::clone(roots), algorithms });
        let asked = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider));
        let asked = asked.build().map_err(|error| error.to_string())?;
        let answering = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let mut answering = answering
            .with_protocol_versions(&[&TLS13])
            .map_err(text)?
            .with_client_cert_verifier(asked)
            .with_single_cert(certificates.to_vec(), key.clone_key())
            .map_err(text)?;
        answering.session_storage = Arc::new(NoServerSessionStorage {});
        answering.send_tls13_tickets = 0;
        assert_eq!(answering.max_early_data_size, 0, "early data could be replayed");
        let calling = ClientConfig::builder_with_provider(provider);
        let mut calling = calling
            .with_protocol_versions(&[&TLS13])
            .map_err(text)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
            .with_client_auth_cert(certificates.to_vec(), key.clone_key())
            .map_err(text)?;
        calling.resumption = Resumption::disabled();
        calling.enable_sni = false;
        assert!(!calling.enable_early_data, "early data could be replayed");
        Ok(Self { own, answering: Arc::new(answering), calling: Arc::new(calling), verifier })
    }

    /// Who showed these certificates, which were found good: a node of this one's trust domain, or why none.
    pub fn peer(&self, chain: &[CertificateDer<'_>]) -> Result<NodeName, String> {
        let name = chain.first().and_then(|certificate| node_name(certificate));
        let name = name.ok_or("its certificate names no node")?;
        if name.trust_domain != self.own.trust_domain {
            return Err(format!(
                "its certificate is of trust domain {}, this node's of {}",
                name.trust_domain, self.own.trust_domain
            ));
        }
        Ok(name)
    }

    /// Whether certificates that were good once are so by what is trusted now.
    pub fn is_still_good(&self, chain: &[CertificateDer<'_>]) -> Result<(), String> {
        let (own, rest) = chain.split_first().ok_or("it showed none")?;
        self.verifier.verify(own, rest, UnixTime::now()).map_err(|error| error.to_string())?;
        self.peer(chain).map(drop)
    }
}

/// The one node that a certificate names.
fn node_name(certificate: &CertificateDer<'_>) -> Option<NodeName> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let mut nodes = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => NodeName::parse(uri),
        _ => None,
    });
    nodes.next().filter(|_| nodes.next().is_none())
}

/// The authority counts, not the host: nodes are named by their certificates, wherever they are.
#[derive(Debug)]
struct NodeVerifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl NodeVerifier {
    fn verify(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(own)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, rest, now, self.algorithms.all)
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::authority::CertificateAuthority;
    use crate::tls::material::{TlsMaterial, TlsPaths};
    use engine::ids::NodeId;
    use rustls::pki_types::pem::PemObject as _;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);

    struct Domain {
        folder: tempfile::TempDir,
        authority: CertificateAuthority,
    }

    impl Domain {
        fn new(name: &str) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let authority = CertificateAuthority::init(folder.path(), name, DAY).expect("made");
            Self { folder, authority }
        }

        fn node(&self, id: u32) -> (PeerConfigs, Vec<CertificateDer<'static>>) {
            let made = self.authority.node(NodeId(id), &["localhost".to_owned()], DAY).expect("made");
            let material = TlsMaterial::load(&TlsPaths::in_folder(&made)).expect("loaded");
            let chain = vec![CertificateDer::from_pem_file(made.join("node.pem")).expect("there")];
            (material.for_peers().expect("a node"), chain)
        }
    }

    #[test]
    fn nodes_of_one_authority_know_each_other_by_their_certificates() {
        let domain = Domain::new("one");
        let ((one, _), (_, two)) = (domain.node(1), domain.node(2));
        assert_eq!(one.own.node, NodeId(1));
        assert_eq!(one.peer(&two).expect("a node").node, NodeId(2));
        one.is_still_good(&two).expect("good");
    }

    #[test]
    fn another_authority_another_domain_and_users_are_no_peers() {
        let (domain, other) = (Domain::new("one"), Domain::new("two"));
        let ((one, _), (_, foreign)) = (domain.node(1), other.node(2));
        assert!(one.peer(&foreign).expect_err("another domain").contains("trust domain two"));
        assert!(one.is_still_good(&foreign).is_err(), "not by this authority");
        let user = domain.authority.user("alice", DAY).expect("made");
        let user = vec![CertificateDer::from_pem_file(user.join("user.pem")).expect("there")];
        assert!(one.peer(&user).expect_err("a user").contains("names no node"));
        assert!(one.peer(&[]).is_err() && one.is_still_good(&[]).is_err());
        assert!(domain.folder.path().exists());
    }

    #[test]
    fn a_certificate_that_has_run_out_is_no_peers_whichever_end_shows_it() {
        let domain = Domain::new("one");
        let ((one, _), (_, two)) = (domain.node(1), domain.node(2));
        let today = Duration::from_secs(UnixTime::now().as_secs());
        let at = |days| UnixTime::since_unix_epoch(today + days * DAY);
        one.verifier.verify(&two[0], &[], at(0)).expect("today");
        let calls = one.verifier.verify(&two[0], &[], at(2)).expect_err("run out");
        assert!(format!("{calls:?}").contains("Expired"), "{calls:?}");
        let name = ServerName::try_from("localhost").expect("a name");
        let answers = one.verifier.verify_server_cert(&two[0], &[], &name, &[], at(2)).expect_err("run out");
        assert_eq!(calls, answers);
    }
}
