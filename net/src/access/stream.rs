//! A blocking connection to a broker, for commands and what is asked once: TLS and SASL are behind it, and every wait has
//! an end.

use super::how::{Access, ClientLogin};
use super::sasl_dialog::SaslDialog;
use crate::blocking::{TimedStream, read_by};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A longer answer is none of SASL's.
const ANSWER_BYTES_MAX: usize = 64 << 10;

pub enum AccessStream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl AccessStream {
    /// On a connection to `host`, as its certificate must say: TLS and SASL as they are asked for.
    pub fn open(
        tcp: TcpStream,
        host: &str,
        access: &Access,
        client_id: &str,
        deadline: Instant,
    ) -> io::Result<Self> {
        let is_local = tcp.peer_addr()?.ip().is_loopback();
        let mut stream = match &access.tls {
            None => Self::Plain(tcp),
            Some(config) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|_| invalid(format!("{host} is no name that a certificate can have")))?;
                let mut tls = ClientConnection::new(Arc::clone(config), name)
                    .map_err(|error| invalid(format!("TLS: {error}")))?;
                shake_hands(&mut tls, &tcp, deadline)?;
                Self::Tls(Box::new(StreamOwned::new(tls, tcp)))
            }
        };
        if let Some(login) = &access.login {
            may_be_sent(login, access.tls.is_some() || is_local)?;
            stream.log_in(login, client_id, deadline)?;
        }
        Ok(stream)
    }

    fn log_in(&mut self, login: &ClientLogin, client_id: &str, deadline: Instant) -> io::Result<()> {
        let (mut dialog, frame) = SaslDialog::begin(login, client_id);
        let mut next = Some(frame);
        while let Some(frame) = next {
            self.set_write_timeout(left(deadline)?)?;
            self.write_all(&frame)?;
            self.flush()?;
            let mut length = [0; 4];
            read_by(self, &mut length, deadline)?;
            let bytes = u32::from_be_bytes(length) as usize;
            if bytes > ANSWER_BYTES_MAX {
                return Err(invalid(format!("an answer of {bytes} bytes to who we are")));
            }
            let mut answer = vec![0; bytes];
            read_by(self, &mut answer, deadline)?;
            next = dialog.take(&answer).map_err(denied)?;
        }
        Ok(())
    }

    pub fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.tcp().set_write_timeout(Some(timeout))
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }
}

/// A password is not sent where others can read it.
pub fn may_be_sent(login: &ClientLogin, keeps_secrets: bool) -> io::Result<()> {
    if keeps_secrets || login.mechanism.hash().is_some() {
        return Ok(());
    }
    let what = "PLAIN would send the password in the clear: add --tls-ca FILE, or use a SCRAM mechanism";
    Err(denied(what.to_owned()))
}

fn shake_hands(tls: &mut ClientConnection, tcp: &TcpStream, deadline: Instant) -> io::Result<()> {
    while tls.is_handshaking() {
        let left = left(deadline)?;
        tcp.set_read_timeout(Some(left))?;
        tcp.set_write_timeout(Some(left))?;
        tls.complete_io(&mut &*tcp).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            io::ErrorKind::InvalidData => invalid(format!("TLS: {error}")),
            _ => error,
        })?;
    }
    Ok(())
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn denied(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}

impl TimedStream for AccessStream {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.tcp().set_read_timeout(Some(timeout))
    }
}

impl Read for AccessStream {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(to),
            Self::Tls(tls) => tls.read(to),
        }
    }
}

impl Write for AccessStream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(from),
            Self::Tls(tls) => tls.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

impl std::fmt::Debug for AccessStream {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_tuple("AccessStream").field(self.tcp()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::how::LoginMechanism;
    use zeroize::Zeroizing;

    fn login(mechanism: LoginMechanism) -> ClientLogin {
        ClientLogin { user: "anna".into(), password: Zeroizing::new(b"pencil".to_vec()), mechanism }
    }

    #[test]
    fn a_password_goes_over_no_connection_that_others_can_read() {
        assert!(may_be_sent(&login(LoginMechanism::Plain), true).is_ok());
        assert!(may_be_sent(&login(LoginMechanism::ScramSha256), false).is_ok());
        let refused = may_be_sent(&login(LoginMechanism::Plain), false).expect_err("refused");
        assert!(refused.to_string().contains("--tls-ca"), "{refused}");
    }

    #[test]
    fn a_broker_that_says_nothing_is_given_up_in_time() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let tcp = TcpStream::connect(silent.local_addr().expect("bound")).expect("connected");
        let access = Access { tls: None, login: Some(login(LoginMechanism::ScramSha256)) };
        let begun = Instant::now();
        let deadline = begun + Duration::from_millis(200);
        let error = AccessStream::open(tcp, "localhost", &access, "me", deadline).expect_err("no answer");
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
