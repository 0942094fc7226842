//! Who somebody is by a certificate: names in certificates that clients and peers show, and rules that make principals
//! of them, fed with what is nearly right.

use crate::fuzz_target::{Target, target};
use engine::ids::NodeId;
use net::tls::authority::CertificateAuthority;
use net::tls::distinguished_name;
use net::tls::files;
use net::tls::material::{TlsMaterial, TlsPaths};
use net::tls::node_name::NodeName;
use net::tls::peers::PeerConfigs;
use net::tls::principal::PrincipalRules;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const RULES: &str = "RULE:^CN=([^,]+),OU=ops.*$/$1@ops/L, RULE:^.*?CN=(.*?)(,.*)?$/$1/U, DEFAULT";
/// A pattern is compiled for each try: one in so many is.
const RULES_TRIED: u32 = 256;
/// What a compiled pattern may take, and the texts of what is wrong with one.
const PATTERN_BYTES: usize = 16 << 20;

/// A node's folder, and the certificates of a node and of a user.
struct Made {
    peers: PeerConfigs,
    node: Vec<u8>,
    user: Vec<u8>,
}

fn make() -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = CertificateAuthority::init(folder.path(), "test", DAY).expect("an authority");
    let node = authority.node(NodeId(7), &["localhost".to_owned()], DAY).expect("a node's");
    let user = authority.user("alice", DAY).expect("a user's");
    let read = |path: &Path| CertificateDer::from_pem_file(path).expect("a certificate").to_vec();
    let material = TlsMaterial::load(&TlsPaths::in_folder(&node)).expect("just made");
    let peers = material.for_peers().expect("a node's");
    Made { peers, node: read(&node.join(files::NODE)), user: read(&user.join(files::USER)) }
}

thread_local!(static MADE: Made = make());

pub fn targets() -> Vec<Target> {
    let certificates = MADE.with(|made| vec![made.node.clone(), made.user.clone()]);
    let subjects =
        [&b"CN=alice,OU=ops,O=x"[..], b"O=x,CN=bob", b"CN=a\\,b+OU=c"].map(<[u8]>::to_vec).to_vec();
    let uris = vec![b"duramen://test/node/7".to_vec(), b"spiffe://test.example/node/7".to_vec()];
    vec![
        target("stranger: subject of a certificate", 64, certificates.clone(), |bytes| {
            _ = distinguished_name::subject(bytes);
        }),
        target("peer: node of a certificate", 64, certificates, |bytes| {
            let chain = [CertificateDer::from(bytes.to_vec())];
            _ = MADE.with(|made| made.peers.peer(&chain));
        }),
        target("peer: name of a node", 4, uris, |bytes| {
            if let Ok(uri) = core::str::from_utf8(bytes) {
                _ = NodeName::parse(uri);
            }
        }),
        Target {
            allocates_bytes: PATTERN_BYTES,
            ..target("stranger: principal of a subject", 64, subjects, |bytes| {
                thread_local!(static MAPPED: PrincipalRules = PrincipalRules::parse(RULES).expect("good"));
                if let Ok(subject) = core::str::from_utf8(bytes) {
                    let name = MAPPED.with(|rules| rules.name(subject));
                    assert!(name.is_some(), "the last rule fits all");
                }
            })
        },
        Target {
            allocates_bytes: PATTERN_BYTES,
            ..target("operator: mapping rules", 64, vec![RULES.as_bytes().to_vec()], |bytes| {
                let Ok(text) = core::str::from_utf8(bytes) else { return };
                if crc32c::crc32c(bytes).is_multiple_of(RULES_TRIED)
                    && let Ok(rules) = PrincipalRules::parse(text)
                {
                    _ = rules.name("CN=alice,OU=ops,O=x");
                }
            })
        },
    ]
}
