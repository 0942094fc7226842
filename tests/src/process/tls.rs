//! Certificates for a test, and a client within TLS that asks which versions there are.

use engine::ids::NodeId;
use net::kafka::client::{ClientHead, write_request};
use net::tls::authority::CertificateAuthority;
use net::tls::files;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(86_400);

/// An authority in a folder of its own.
pub struct Certificates {
    folder: TempDir,
    authority: CertificateAuthority,
}

impl Certificates {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = CertificateAuthority::init(folder.path(), "test", DAY).expect("an authority");
        Self { folder, authority }
    }

    /// The folder of a node's, made anew.
    pub fn node(&self, id: u32) -> PathBuf {
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.authority.node(NodeId(id), &hosts, DAY).expect("a node's certificate")
    }

    /// The folder of a user's, made anew.
    pub fn user(&self, name: &str, valid_for: Duration) -> PathBuf {
        self.authority.user(name, valid_for).expect("a user's certificate")
    }

    pub fn ca(&self) -> PathBuf {
        self.folder.path().join(files::CA)
    }

    /// A client that trusts this authority, and shows a user's certificate if there is one.
    pub fn client(&self, user: Option<&Path>) -> Arc<ClientConfig> {
        client(&self.ca(), user)
    }
}

/// A client that trusts the authority of a file, and shows the certificate of a user's folder if there is one.
pub fn client(ca: &Path, user: Option<&Path>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("a certificate")).expect("good");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("known versions").with_root_certificates(roots);
    Arc::new(match user {
        None => builder.with_no_client_auth(),
        Some(folder) => {
            let chain = vec![CertificateDer::from_pem_file(folder.join(files::USER)).expect("there")];
            let key = PrivateKeyDer::from_pem_file(folder.join(files::USER_KEY)).expect("there");
            builder.with_client_auth_cert(chain, key).expect("they fit")
        }
    })
}

/// A stream that keeps what went out.
struct Kept {
    stream: TcpStream,
    sent: Vec<u8>,
}

impl Read for Kept {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.sent.extend_from_slice(&bytes[..written]);
        Ok(written)
    }

    /// A client that fails writes once more, its alert among what waits: all of it goes out at once, or the alert does not.
    fn write_vectored(&mut self, all: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let written = self.stream.write_vectored(all)?;
        self.sent.extend(all.iter().flat_map(|one| one.iter()).take(written));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A connection within TLS.
pub struct TlsWire(StreamOwned<ClientConnection, Kept>);

impl TlsWire {
    pub fn connect(port: u16, config: &Arc<ClientConfig>, host: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        let host = ServerName::try_from(host.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::clone(config), host).map_err(io::Error::other)?;
        Ok(Self(StreamOwned::new(connection, Kept { stream, sent: Vec::new() })))
    }

    /// All that went out, as somebody on the way could keep it.
    pub fn sent(&self) -> &[u8] {
        &self.0.sock.sent
    }

    /// Sends bytes as they are, as somebody on the way could.
    pub fn inject(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.sock.stream.write_all(bytes)
    }

    /// Whatever the broker says next, within TLS.
    pub fn receive(&mut self) -> io::Result<usize> {
        self.0.read(&mut [0; 64])
    }

    /// Asks ApiVersions and waits for the answer.
    pub fn asks_versions(&mut self) -> io::Result<()> {
        let mut frame = Vec::new();
        let head = ClientHead { correlation: 7, client_id: "tls" };
        write_request(&mut frame, head, 0, &kafka_wire::ApiVersionsRequest::default());
        self.0.write_all(&frame)?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer)?;
        assert_eq!(answer[..4], [0, 0, 0, 7], "the answer to this question");
        Ok(())
    }

    /// The certificate that the broker showed.
    pub fn certificate(&self) -> Vec<u8> {
        let certificates = self.0.conn.peer_certificates().expect("the handshake is done");
        certificates[0].to_vec()
    }
}
