//! The certificates that count now: read again while the node runs, so that a renewed one needs no restart.
//! Connections keep what they began with; what cannot be used is told, and what was good stays.

use super::material::{ClientCertificates, TlsFileError, TlsMaterial, TlsPaths};
use super::peers::PeerConfigs;
use super::principal::PrincipalRules;
use engine::ids::NodeId;
use rustls::ServerConfig;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the certificates are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsAsked {
    pub clients: ClientCertificates,
    /// The node whose name must be in them, where links to others are within TLS.
    pub node: Option<NodeId>,
}

/// Shared by all threads; each new connection asks once.
pub struct LiveTls {
    paths: TlsPaths,
    asked: TlsAsked,
    pub rules: PrincipalRules,
    state: Mutex<LiveState>,
}

struct LiveState {
    loaded: Arc<Loaded>,
    /// Told already: what is wrong with the files as they are now.
    told: Option<String>,
}

/// What one look at the files gave.
pub struct Loaded {
    pub clients: Arc<ServerConfig>,
    /// For the HTTP port: who shows a certificate is known by it, others may have a token.
    pub http: Arc<ServerConfig>,
    peers: Option<PeerConfigs>,
    /// How many there were, this one included.
    pub number: u64,
    material: TlsMaterial,
}

/// What a look at the files found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsChange {
    Nothing,
    /// New connections take what is there now.
    Taken,
    /// What was good stays.
    Refused(String),
}

impl LiveTls {
    pub fn load(paths: TlsPaths, asked: TlsAsked, rules: PrincipalRules) -> Result<Arc<Self>, TlsFileError> {
        let loaded = Loaded::of(TlsMaterial::load(&paths)?, asked, 1);
        let loaded = loaded.map_err(|what| TlsFileError { path: paths.certificate.clone(), what })?;
        let loaded = Arc::new(loaded);
        let state = Mutex::new(LiveState { loaded, told: None });
        Ok(Arc::new(Self { paths, asked, rules, state }))
    }

    pub fn paths(&self) -> &TlsPaths {
        &self.paths
    }

    /// For a connection that begins now.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.state().loaded)
    }

    /// Reads the files again.
    pub fn look(&self) -> TlsChange {
        let found = TlsMaterial::load(&self.paths).map_err(|error| error.to_string());
        let mut state = self.state();
        let taken = found.and_then(|material| {
            if material.is_same_as(&state.loaded.material) {
                return Ok(None);
            }
            Loaded::of(material, self.asked, state.loaded.number + 1).map(Some)
        });
        match taken {
            Ok(None) => {
                state.told = None;
                TlsChange::Nothing
            }
            Ok(Some(loaded)) => {
                *state = LiveState { loaded: Arc::new(loaded), told: None };
                TlsChange::Taken
            }
            Err(what) if state.told.as_ref() == Some(&what) => TlsChange::Nothing,
            Err(what) => {
                state.told = Some(what.clone());
                TlsChange::Refused(what)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, LiveState> {
        // Whatever panicked had not begun to change it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    fn of(material: TlsMaterial, asked: TlsAsked, number: u64) -> Result<Self, String> {
        assert!(number > 0, "it counts itself");
        let clients = material.for_clients(asked.clients).map_err(|error| error.to_string())?;
        let http = material.for_clients(ClientCertificates::Requested).map_err(|error| error.to_string())?;
        let peers = asked.node.map(|node| {
            let peers = material.for_peers()?;
            if peers.own.node == node {
                return Ok(peers);
            }
            Err(format!("it is the certificate of node {}, this is node {node}", peers.own.node))
        });
        Ok(Self {
            clients: Arc::new(clients),
            http: Arc::new(http),
            peers: peers.transpose()?,
            number,
            material,
        })
    }

    /// How other nodes are spoken to.
    pub fn peers(&self) -> &PeerConfigs {
        self.peers.as_ref().expect("links within TLS were asked for when they were loaded")
    }

    /// Until when the node's certificate counts, seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.material.not_after
    }

    pub fn has_rsa_key(&self) -> bool {
        self.material.has_rsa_key()
    }
}

impl std::fmt::Debug for LiveTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveTls").field("paths", &self.paths).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::authority::CertificateAuthority;
    use crate::tls::files;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_renewed_certificate_is_taken_and_a_bad_one_leaves_what_was_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = CertificateAuthority::init(folder.path(), "test", DAY).expect("made");
        let host = ["localhost".to_owned()];
        let node = authority.node(NodeId(1), &host, DAY).expect("made");
        let load = || {
            let rules = PrincipalRules::default();
            let asked = TlsAsked { clients: ClientCertificates::Required, node: Some(NodeId(1)) };
            LiveTls::load(TlsPaths::in_folder(&node), asked, rules)
        };
        let live = load().expect("loaded");
        let first = live.current();
        assert_eq!(live.look(), TlsChange::Nothing);
        authority.node(NodeId(1), &host, DAY * 2).expect("made anew");
        assert_eq!(live.look(), TlsChange::Taken);
        let second = live.current();
        assert!(second.not_after() > first.not_after() && !second.has_rsa_key());
        // The key of another certificate: half of a renewal.
        let key = node.join(files::NODE_KEY);
        let good = std::fs::read_to_string(&key).expect("a key");
        let other = authority.node(NodeId(2), &host, DAY).expect("made");
        std::fs::copy(other.join(files::NODE_KEY), &key).expect("copied");
        assert!(matches!(live.look(), TlsChange::Refused(what) if what.contains("node.key")));
        assert_eq!(live.look(), TlsChange::Nothing, "told once");
        assert!(Arc::ptr_eq(&live.current(), &second));
        assert!(load().is_err(), "a node does not start with it");
        files::write(&key, &good).expect("written");
        assert_eq!(live.look(), TlsChange::Nothing, "what is there is what counts");
        // Key and certificate fit each other, and are another node's.
        let kept = tempfile::tempdir().expect("a folder");
        for name in [files::NODE, files::NODE_KEY] {
            std::fs::copy(node.join(name), kept.path().join(name)).expect("kept");
            std::fs::copy(other.join(name), node.join(name)).expect("copied");
        }
        assert!(
            matches!(live.look(), TlsChange::Refused(what) if what.contains("of node 2, this is node 1"))
        );
        for name in [files::NODE, files::NODE_KEY] {
            std::fs::copy(kept.path().join(name), node.join(name)).expect("put back");
        }
        assert_eq!(live.look(), TlsChange::Nothing);
        for name in [files::CA, files::NODE, files::NODE_KEY] {
            let path = node.join(name);
            let good = std::fs::read_to_string(&path).expect("a file");
            files::write(&path, "nothing").expect("written");
            assert!(matches!(live.look(), TlsChange::Refused(what) if what.contains(name)), "{name}");
            files::write(&path, &good).expect("written");
        }
    }
}
