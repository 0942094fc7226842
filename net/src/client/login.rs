//! Who is at the other end of a connection, and how it proves that where its listener asks: SaslHandshake and
//! SaslAuthenticate, from the wire to what `sasl` decides and back. What is asked meanwhile, and beyond the proof's end,
//! closes the connection.

use crate::audit;
use crate::client::connections::Connections;
use crate::client::sasl::mechanism::SaslMechanism;
use crate::client::sasl::penalties::Turn;
use crate::client::sasl::session::{HandshakeAnswer, SaslAdmission, SaslSession, SaslStep};
use crate::kafka::api::{API_VERSIONS, SASL_AUTHENTICATE, SASL_HANDSHAKE};
use crate::kafka::codec::cursor::Malformed;
use crate::kafka::codec::header::{self, RequestHeader};
use crate::kafka::codec::wire::{self, Bytes, BytesMut, KafkaEncode, StrBytes};
use crate::kafka::errors::code;
use crate::kafka::listener::Listener;
use crate::kafka::request_context::{ANONYMOUS, Peer};
use futures_lite::future::or;
use kafka_wire::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use serde_json::json;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Who is not known after so long is closed: nothing but a handshake takes its place.
const LOGIN_TIME_MAX: Duration = Duration::from_secs(10);
/// The first version of SaslAuthenticate with tagged fields.
const FLEXIBLE_FROM: i16 = 2;
/// What every client is told that did not get in, whatever the reason is: the log has that.
const NOT_IN: &str = "Authentication failed: invalid credentials";
/// The shortest request: its key, its version, the correlation id.
const REQUEST_BYTES_MIN: usize = 8;

/// Who a client is.
pub struct Login {
    address: SocketAddr,
    peer: RefCell<Rc<Peer>>,
    /// None where the listener does not ask.
    session: Option<RefCell<SaslSession>>,
    /// Until when it must be known.
    due_ns: u64,
}

/// An answer, and whether the connection ends with it.
pub struct LoginAnswer {
    pub frame: Vec<u8>,
    pub ends: Option<Malformed>,
}

type Taken = Result<Option<LoginAnswer>, Malformed>;

impl Login {
    pub fn new(address: SocketAddr, listener: &Arc<Listener>, shared: &Connections) -> Self {
        let peer =
            Peer { principal: ANONYMOUS.to_owned(), listener: Arc::clone(listener), address: address.ip() };
        let offered = || shared.sasl.offered(peer.keeps_secrets());
        let session = listener.protocol.asks_sasl().then(|| RefCell::new(SaslSession::new(offered())));
        let due_ns = shared.shard.now().plus(LOGIN_TIME_MAX);
        Self { address, peer: RefCell::new(Rc::new(peer)), session, due_ns }
    }

    pub fn peer(&self) -> Rc<Peer> {
        Rc::clone(&self.peer.borrow())
    }

    /// Who it is was proven below, by a certificate.
    pub fn is_by_certificate(&self, principal: String) {
        assert!(self.session.is_none(), "a listener that asks by SASL is answered by it");
        let peer = self.peer();
        let named = Peer { principal, listener: Arc::clone(&peer.listener), address: peer.address };
        *self.peer.borrow_mut() = Rc::new(named);
    }

    /// When the connection ends however much it does.
    pub fn ends_ns(&self) -> Option<u64> {
        let session = self.session.as_ref()?.borrow();
        if session.user().is_none() { Some(self.due_ns) } else { session.ends_ns() }
    }

    /// What a frame may have: who is not known yet gets little, and a message alone may be short.
    pub fn frame_bytes(&self, shared: &Connections) -> RangeInclusive<usize> {
        let Some(session) = &self.session else { return REQUEST_BYTES_MIN..=shared.frame_bytes_max };
        let session = session.borrow();
        let bytes_min = if session.awaits_raw() { 0 } else { REQUEST_BYTES_MIN };
        let is_known = session.user().is_some();
        bytes_min..=if is_known { shared.frame_bytes_max } else { shared.sasl.receive_bytes_max }
    }

    /// Whether the next frame is a message alone.
    pub fn awaits_raw(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.borrow().awaits_raw())
    }

    /// Takes a request that is about who the client is; `None` for all others, where they may be asked.
    pub async fn take(
        &self,
        shared: &Connections,
        header: &RequestHeader<'_>,
        body: &[u8],
        is_closed: impl Fn() -> bool,
    ) -> Taken {
        match (header.api_key, &self.session) {
            (SASL_HANDSHAKE, _) => self.take_handshake(shared, header, body).map(Some),
            (SASL_AUTHENTICATE, _) => self.take_authenticate(shared, header, body, is_closed).await.map(Some),
            (_, None) => Ok(None),
            (api, Some(session)) => {
                match session.borrow().admits(api == API_VERSIONS, shared.shard.now().mono_ns) {
                    SaslAdmission::Served => Ok(None),
                    SaslAdmission::Refused(why) => Err(Malformed(why)),
                }
            }
        }
    }

    fn take_handshake(
        &self,
        shared: &Connections,
        header: &RequestHeader<'_>,
        body: &[u8],
    ) -> Result<LoginAnswer, Malformed> {
        let request: SaslHandshakeRequest = decoded(body, header.version)?;
        let mut response = SaslHandshakeResponse::default();
        let answered = match &self.session {
            None => HandshakeAnswer::Illegal,
            Some(session) => {
                let mut session = session.borrow_mut();
                let names = session.offered().iter().map(|one| StrBytes::from(one.name()));
                response.mechanisms = names.collect();
                session.handshake(&request.mechanism, header.version, shared.shard.now().mono_ns)
            }
        };
        response.error_code = match answered {
            HandshakeAnswer::Chosen => code::NONE,
            HandshakeAnswer::Unsupported => code::UNSUPPORTED_SASL_MECHANISM,
            HandshakeAnswer::Illegal => code::ILLEGAL_SASL_STATE,
        };
        let is_unsupported = answered == HandshakeAnswer::Unsupported;
        if is_unsupported {
            // A name of any length: the log has its begin.
            let asked: String = request.mechanism.chars().take(32).collect();
            let listener = &self.peer.borrow().listener.name;
            tracing::info!(peer = %self.address, listener, "the mechanism {asked:?} is not offered");
        }
        let ends = is_unsupported.then_some(Malformed("a mechanism that is not offered"));
        Ok(LoginAnswer { frame: encoded(header, false, &response), ends })
    }

    async fn take_authenticate(
        &self,
        shared: &Connections,
        header: &RequestHeader<'_>,
        body: &[u8],
        is_closed: impl Fn() -> bool,
    ) -> Result<LoginAnswer, Malformed> {
        let request: SaslAuthenticateRequest = decoded(body, header.version)?;
        let step = match &self.session {
            None => SaslStep::Illegal("this listener does not ask who its clients are"),
            Some(session) => self.step(shared, session, &request.auth_bytes, is_closed).await?,
        };
        let mut response = SaslAuthenticateResponse::default();
        let mut ends = None;
        match step {
            SaslStep::Reply(message) => response.auth_bytes = Bytes::from(message),
            SaslStep::Proven { message, lifetime_ms } => {
                response.auth_bytes = Bytes::from(message);
                if header.version >= 1 {
                    response.session_lifetime_ms =
                        lifetime_ms.map_or(0, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
                }
            }
            SaslStep::Failed(_) => {
                response.error_code = code::SASL_AUTHENTICATION_FAILED;
                response.error_message = Some(StrBytes::from(NOT_IN));
                ends = Some(Malformed("it did not prove who it is"));
            }
            SaslStep::Illegal(why) => {
                response.error_code = code::ILLEGAL_SASL_STATE;
                response.error_message = Some(StrBytes::from(why));
            }
            SaslStep::Password(_) => unreachable!("a password was checked"),
        }
        Ok(LoginAnswer { frame: encoded(header, header.version >= FLEXIBLE_FROM, &response), ends })
    }

    /// Takes a message without a request around it: behind a handshake of version 0.
    pub async fn take_raw(
        &self,
        shared: &Connections,
        message: &[u8],
        is_closed: impl Fn() -> bool,
    ) -> Result<LoginAnswer, Malformed> {
        assert!(self.awaits_raw(), "a frame that is a request");
        let session = self.session.as_ref().expect("it awaits one");
        match self.step(shared, session, message, is_closed).await? {
            SaslStep::Reply(message) | SaslStep::Proven { message, .. } => {
                let mut frame = vec![0; 4];
                frame.extend_from_slice(&message);
                header::seal(&mut frame, 0);
                Ok(LoginAnswer { frame, ends: None })
            }
            // There is no place for an error.
            SaslStep::Failed(_) | SaslStep::Illegal(_) => Err(Malformed("it did not prove who it is")),
            SaslStep::Password(_) => unreachable!("a password was checked"),
        }
    }

    /// Takes one message of an exchange, when its address may try; tells the log who came and who did not get in.
    async fn step(
        &self,
        shared: &Connections,
        session: &RefCell<SaslSession>,
        message: &[u8],
        is_closed: impl Fn() -> bool,
    ) -> Result<SaslStep, Malformed> {
        let is_at_begin = session.borrow().is_at_begin();
        if is_at_begin {
            self.wait_for_turn(shared, &is_closed).await?;
        }
        let (sasl, view) = (&shared.sasl, shared.shard.view());
        let decoys = sasl.decoys(&view);
        let ground = sasl.ground(&*view, &decoys, shared.shard.now());
        let step = session.borrow_mut().message(message, &ground);
        let step = match step {
            SaslStep::Password(mut check) => {
                let closed = async {
                    shared.shard.changes.until(&is_closed).await;
                    false
                };
                if !or(sasl.passwords.stretch(&mut check.stretch), closed).await {
                    return Err(Malformed("too many passwords wait to be checked"));
                }
                session.borrow_mut().checked(check, &ground)
            }
            other => other,
        };
        self.tell(shared, &session.borrow(), &step);
        Ok(step)
    }

    fn tell(&self, shared: &Connections, session: &SaslSession, step: &SaslStep) {
        let (address, peer, user) = (self.address.ip(), self.address, session.tried());
        let listener = Arc::clone(&self.peer.borrow().listener);
        let mechanism = session.mechanism().map_or("none", SaslMechanism::name);
        match step {
            SaslStep::Proven { .. } => {
                assert_eq!(session.user(), Some(user), "the proof is of whom it was about");
                shared.sasl.penalties.borrow_mut().succeeded(address);
                tracing::info!(%peer, listener = listener.name, mechanism, user, "authenticated");
                let fields = || {
                    json!({
                        "result": "success", "principal": format!("User:{user}"), "address": peer.to_string(),
                        "listener": listener.name, "mechanism": mechanism,
                    })
                };
                audit::tell_of_many("authentication", fields);
                let principal = format!("User:{user}");
                self.peer.replace(Rc::new(Peer { principal, listener, address }));
            }
            SaslStep::Failed(why) => {
                shared.sasl.penalties.borrow_mut().failed(address, shared.shard.now().mono_ns);
                shared.shard.page.borrow_mut().logins_refused += 1;
                tracing::info!(%peer, listener = listener.name, mechanism, user, "not authenticated: {why}");
                let fields = || {
                    json!({
                        "result": "failure", "principal": format!("User:{user}"), "address": peer.to_string(),
                        "listener": listener.name, "mechanism": mechanism, "reason": why.to_string(),
                    })
                };
                audit::tell_of_many("authentication", fields);
            }
            SaslStep::Reply(_) | SaslStep::Illegal(_) | SaslStep::Password(_) => {}
        }
    }

    /// Waits where others of its address failed before.
    async fn wait_for_turn(
        &self,
        shared: &Connections,
        is_closed: impl Fn() -> bool,
    ) -> Result<(), Malformed> {
        let now_ns = || shared.shard.now().mono_ns;
        let turn = shared.sasl.penalties.borrow_mut().begin(self.address.ip(), now_ns());
        match turn {
            Turn::Now => Ok(()),
            Turn::At { ns } => {
                shared.shard.changes.until(|| now_ns() >= ns || is_closed()).await;
                Ok(())
            }
            Turn::Never => Err(Malformed("too many of its address failed to prove who they are, and wait")),
        }
    }
}

fn encoded<T: KafkaEncode>(header: &RequestHeader<'_>, is_flexible: bool, response: &T) -> Vec<u8> {
    let mut answer = header::begin_answer(header.correlation);
    if is_flexible {
        // The response header's tagged fields: none.
        answer.push(0);
    }
    let mut body = BytesMut::new();
    wire::encode(&mut body, response, header.version).expect("its texts are ours, and short");
    answer.extend_from_slice(&body);
    header::seal(&mut answer, 0);
    answer
}

fn decoded<T: wire::KafkaDecode>(body: &[u8], version: i16) -> Result<T, Malformed> {
    wire::decode(body, version).map_err(|_| Malformed("its body cannot be decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_the_schema_in_each_version() {
        let mut response = SaslAuthenticateResponse::default();
        response.error_message = Some(StrBytes::from(NOT_IN));
        for version in 0..=2 {
            let header =
                RequestHeader { api_key: SASL_AUTHENTICATE, version, correlation: 7, client_id: None };
            let frame = encoded(&header, version >= FLEXIBLE_FROM, &response);
            let body = if version >= FLEXIBLE_FROM { &frame[9..] } else { &frame[8..] };
            let read: SaslAuthenticateResponse = wire::decode(body, version).expect("decodes");
            assert_eq!(read.error_message, response.error_message, "version {version}");
        }
    }
}
