//! The TLS handshake of a connection, before its first request: within its time, at the shard's pace, and then who the
//! client is by its certificate.

use super::Connection;
use crate::audit;
use crate::client::any_socket::AnySocket;
use crate::client::shard_tls::ShardTls;
use crate::client::tls_socket::{HandshakeError, TlsSocket};
use crate::kafka::codec::other_protocol::OtherProtocol;
use crate::kafka::security_protocol::SecurityProtocol;
use crate::tls::distinguished_name;
use crate::tls::session::TlsSessionError;
use crate::tls::words::in_words;
use futures_lite::future::or;
use serde_json::json;
use std::time::Duration;

/// From the connection to the end of the handshake, turns that are waited for included.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

impl Connection {
    /// Whether requests may be read; at once where the listener is in the clear.
    pub(super) async fn shake_hands(&self) -> bool {
        let AnySocket::Tls(socket) = &self.socket else { return true };
        let tls = self.shared.tls.as_ref().expect("the socket was made by it");
        let over = async {
            let is_over = || self.closed.get() || self.reading_ended.get();
            or(self.changed.until(is_over), async {
                glommio::timer::sleep(HANDSHAKE_TIME_MAX).await;
            })
            .await;
            Err(format!("no handshake within {} s", HANDSHAKE_TIME_MAX.as_secs()))
        };
        let shaken = async {
            self.answer(socket, tls).await?;
            self.name_by_certificate(socket, tls)
        };
        let shaken = or(shaken, over).await;
        let mut page = self.shared.shard.page.borrow_mut();
        match shaken {
            Ok(()) => page.tls_handshakes += 1,
            Err(why) => {
                page.tls_handshakes_failed += 1;
                page.connections_refused += 1;
                drop(page);
                if !self.closed.get() {
                    self.audit("failure", None, Some(&why));
                    tracing::info!(peer = %self.address, listener = self.login.peer().listener.name, "closed: {why}");
                }
                return false;
            }
        }
        true
    }

    async fn answer(&self, socket: &TlsSocket, tls: &ShardTls) -> Result<(), String> {
        socket.first_bytes().await.map_err(words)?;
        let now_ns = self.shared.shard.now().mono_ns;
        let turn = tls.pace.borrow_mut().turn(self.address.ip(), now_ns, HANDSHAKE_TIME_MAX);
        match turn {
            None => return Err("too many handshakes at once, from it or from all".to_owned()),
            Some(Duration::ZERO) => {}
            Some(wait) => glommio::timer::sleep(wait).await,
        }
        socket.shake_hands().await.map_err(words)
    }

    /// By SASL a client is who it says there.
    fn name_by_certificate(&self, socket: &TlsSocket, tls: &ShardTls) -> Result<(), String> {
        let Some(certificate) = socket.peer_certificate() else { return Ok(()) };
        if self.login.peer().listener.protocol != SecurityProtocol::Ssl {
            return Ok(());
        }
        let subject = distinguished_name::subject(&certificate)?;
        let name = tls.live.rules.name(&subject);
        let name = name.ok_or_else(|| format!("no rule of ssl.principal.mapping.rules fits '{subject}'"))?;
        self.login.is_by_certificate(format!("User:{name}"));
        self.audit("success", Some(&subject), None);
        Ok(())
    }

    fn audit(&self, result: &str, subject: Option<&str>, reason: Option<&str>) {
        let peer = self.login.peer();
        let fields = || {
            json!({
                "result": result, "principal": peer.principal, "address": self.address.to_string(),
                "listener": peer.listener.name, "mechanism": "TLS", "subject": subject, "reason": reason,
            })
        };
        audit::tell_of_many("authentication", fields);
    }
}

fn words(error: HandshakeError) -> String {
    match error {
        HandshakeError::NoTls(first) => match OtherProtocol::of(first) {
            Some(OtherProtocol::Http) => {
                "it looks like HTTP: this listener speaks Kafka's protocol within TLS".to_owned()
            }
            _ => {
                "it does not speak TLS, which this listener does: set the client's security.protocol to SSL \
                  (or to SASL_SSL, for a listener of that protocol)"
                    .to_owned()
            }
        },
        HandshakeError::Tls(TlsSessionError::Tls(error)) => {
            format!("the TLS handshake failed: {}", in_words(&error, "the client"))
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}
