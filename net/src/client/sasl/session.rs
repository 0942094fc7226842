//! What a connection of a SASL listener has proven so far: the handshake, the messages of one exchange, and later the
//! same again (KIP-368). It decides what may be asked meanwhile, and when the proof is over.

use super::credentials::{Decoys, ScramUsers};
use super::jwt::{TokenError, TokenRules, check_token};
use super::mechanism::SaslMechanism;
use super::oauthbearer::{BEARER_REFUSAL, BEARER_REFUSAL_HEARD, BearerMessage};
use super::plain::PlainMessage;
use super::scram::ScramExchange;
use super::scram_keys::{ScramDigest, ScramKeys};
use super::scram_message::SaslMalformed;
use super::stretch::Stretch;
use super::token_keys::TokenKeys;
use engine::control::credentials::Mechanism;
use std::sync::Arc;

/// A client that proves itself again sooner is told that it is not its time, as in Kafka.
const AGAIN_MIN_NS: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// What the mechanisms check against, as of now.
pub struct SaslGround<'a> {
    pub users: &'a dyn ScramUsers,
    pub decoys: &'a Decoys,
    pub tokens: Option<(Arc<TokenKeys>, &'a TokenRules)>,
    /// New for each exchange.
    pub nonce: [u8; 24],
    /// Seconds since 1970, for tokens.
    pub wall_s: u64,
    pub mono_ns: u64,
    /// Of `connections.max.reauth.ms`; 0: none.
    pub reauth_max_ms: u64,
}

/// Why somebody did not get in: for the log. The client is told the same each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaslFailure {
    #[error("its message cannot be read: {0}")]
    Malformed(#[from] SaslMalformed),
    #[error("no such user, or a wrong password")]
    Credentials,
    #[error("its token is worth nothing: {0}")]
    Token(#[from] TokenError),
    #[error("its token names another user than it does")]
    OtherName,
    #[error("it proved to be another user than before")]
    OtherUser,
    #[error("it used another mechanism than before")]
    OtherMechanism,
}

/// What comes of a message.
pub enum SaslStep {
    /// The exchange goes on.
    Reply(Vec<u8>),
    /// The password must be stretched first; then [`SaslSession::checked`].
    Password(Box<PasswordCheck>),
    /// The client is who it says.
    Proven {
        message: Vec<u8>,
        /// For how long; `None` where nothing ends it.
        lifetime_ms: Option<u64>,
    },
    /// The connection ends.
    Failed(SaslFailure),
    /// It is not the time for such a message.
    Illegal(&'static str),
}

/// PLAIN's password on its way to what SCRAM keeps of it.
pub struct PasswordCheck {
    user: String,
    is_known: bool,
    keys: ScramKeys,
    pub stretch: Stretch,
}

/// How a handshake is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeAnswer {
    Chosen,
    Unsupported,
    Illegal,
}

/// Whether a request may be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslAdmission {
    Served,
    /// The connection ends, since this was asked.
    Refused(&'static str),
}

/// A client that proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SaslProof {
    user: String,
    mechanism: SaslMechanism,
    since_ns: u64,
    /// From here on nothing but a new proof is taken.
    until_ns: Option<u64>,
    /// Here the connection ends: its token does.
    ends_ns: Option<u64>,
}

enum Exchange {
    /// None under way: a handshake is awaited.
    None,
    /// A mechanism was chosen.
    Chosen(SaslMechanism),
    Scram(Box<ScramExchange>),
    /// A password is being stretched.
    Password,
    /// The client is to say that it heard that its token was refused.
    Refused(SaslFailure),
    /// It failed; nothing is taken any more.
    Failed,
}

pub struct SaslSession {
    offered: Vec<SaslMechanism>,
    exchange: Exchange,
    mechanism: Option<SaslMechanism>,
    /// Messages come without a request around them, behind a handshake of version 0.
    is_raw: bool,
    proof: Option<SaslProof>,
    /// Whom the last exchange was about, proven or not.
    tried: String,
}

impl SaslSession {
    pub fn new(offered: Vec<SaslMechanism>) -> Self {
        Self {
            offered,
            exchange: Exchange::None,
            mechanism: None,
            is_raw: false,
            proof: None,
            tried: String::new(),
        }
    }

    pub fn offered(&self) -> &[SaslMechanism] {
        &self.offered
    }

    pub fn user(&self) -> Option<&str> {
        self.proof.as_ref().map(|proof| proof.user.as_str())
    }

    /// Whom the last exchange was about, for the log: as the client wrote it.
    pub fn tried(&self) -> &str {
        &self.tried
    }

    pub fn mechanism(&self) -> Option<SaslMechanism> {
        self.mechanism
    }

    /// Whether the next frame is a message alone.
    pub fn awaits_raw(&self) -> bool {
        self.is_raw && !matches!(self.exchange, Exchange::None)
    }

    /// Whether an exchange begins with the next message.
    pub fn is_at_begin(&self) -> bool {
        matches!(self.exchange, Exchange::Chosen(_))
    }

    /// When the connection must end however quiet it is.
    pub fn ends_ns(&self) -> Option<u64> {
        self.proof.as_ref()?.ends_ns
    }

    /// Of all requests but SaslHandshake and SaslAuthenticate.
    pub fn admits(&self, is_api_versions: bool, now_ns: u64) -> SaslAdmission {
        let Some(proof) = &self.proof else {
            return match self.exchange {
                Exchange::None if is_api_versions => SaslAdmission::Served,
                _ => SaslAdmission::Refused("a request before it proved who it is"),
            };
        };
        if !matches!(self.exchange, Exchange::None) {
            return SaslAdmission::Refused("a request while it proves again who it is");
        }
        match proof.until_ns {
            Some(until_ns) if now_ns >= until_ns => {
                SaslAdmission::Refused("its proof of who it is has expired")
            }
            _ => SaslAdmission::Served,
        }
    }

    pub fn handshake(&mut self, name: &str, version: i16, now_ns: u64) -> HandshakeAnswer {
        let is_early = self.proof.as_ref().is_some_and(|proof| now_ns < proof.since_ns + AGAIN_MIN_NS);
        if !matches!(self.exchange, Exchange::None) || is_early {
            return HandshakeAnswer::Illegal;
        }
        let Some(mechanism) = SaslMechanism::of(name).filter(|one| self.offered.contains(one)) else {
            self.exchange = Exchange::Failed;
            return HandshakeAnswer::Unsupported;
        };
        assert!(self.proof.is_none() || !is_early, "a proof is not made again at once");
        self.is_raw = version == 0;
        self.mechanism = Some(mechanism);
        self.exchange = Exchange::Chosen(mechanism);
        HandshakeAnswer::Chosen
    }

    /// Takes the next message of an exchange.
    pub fn message(&mut self, message: &[u8], ground: &SaslGround<'_>) -> SaslStep {
        let exchange = core::mem::replace(&mut self.exchange, Exchange::Failed);
        if let (Exchange::Chosen(mechanism), Some(proof)) = (&exchange, &self.proof)
            && *mechanism != proof.mechanism
        {
            return SaslStep::Failed(SaslFailure::OtherMechanism);
        }
        match exchange {
            Exchange::None => {
                self.exchange = Exchange::None;
                SaslStep::Illegal("SaslAuthenticate without a handshake before it")
            }
            Exchange::Chosen(SaslMechanism::Scram(hash)) => {
                match ScramExchange::begin(hash, message, &ground.nonce, ground.users, ground.decoys) {
                    Ok((exchange, reply)) => {
                        exchange.user().clone_into(&mut self.tried);
                        self.exchange = Exchange::Scram(Box::new(exchange));
                        SaslStep::Reply(reply)
                    }
                    Err(error) => SaslStep::Failed(error.into()),
                }
            }
            Exchange::Chosen(SaslMechanism::Plain) => match PlainMessage::read(message) {
                Ok(plain) => {
                    self.exchange = Exchange::Password;
                    plain.user.clone_into(&mut self.tried);
                    SaslStep::Password(Box::new(PasswordCheck::new(plain, ground)))
                }
                Err(error) => SaslStep::Failed(error.into()),
            },
            Exchange::Chosen(SaslMechanism::OauthBearer) => match token_user(message, ground) {
                Ok((user, ends_ns)) => self.prove(user, Vec::new(), Some(ends_ns), ground),
                Err(error) => {
                    self.exchange = Exchange::Refused(error);
                    SaslStep::Reply(BEARER_REFUSAL.to_vec())
                }
            },
            Exchange::Scram(exchange) => match exchange.finish(message) {
                Ok(Some(proven)) => self.prove(proven.user, proven.message, None, ground),
                Ok(None) => SaslStep::Failed(SaslFailure::Credentials),
                Err(error) => SaslStep::Failed(error.into()),
            },
            Exchange::Refused(error) if message == BEARER_REFUSAL_HEARD => SaslStep::Failed(error),
            Exchange::Refused(error) => SaslStep::Failed(error),
            Exchange::Password | Exchange::Failed => SaslStep::Illegal("a message that nobody awaits"),
        }
    }

    /// Takes what came of a password.
    pub fn checked(&mut self, check: Box<PasswordCheck>, ground: &SaslGround<'_>) -> SaslStep {
        assert!(matches!(self.exchange, Exchange::Password), "no password is being checked");
        self.exchange = Exchange::Failed;
        match check.finish() {
            Some(user) => self.prove(user, Vec::new(), None, ground),
            None => SaslStep::Failed(SaslFailure::Credentials),
        }
    }

    fn prove(
        &mut self,
        user: String,
        message: Vec<u8>,
        ends_ns: Option<u64>,
        ground: &SaslGround<'_>,
    ) -> SaslStep {
        if self.user().is_some_and(|before| before != user) {
            return SaslStep::Failed(SaslFailure::OtherUser);
        }
        user.clone_into(&mut self.tried);
        let since_ns = ground.mono_ns;
        let reauth_ns = (ground.reauth_max_ms > 0).then(|| since_ns + ground.reauth_max_ms * NS_PER_MS);
        let until_ns = [reauth_ns, ends_ns].into_iter().flatten().min();
        let mechanism = self.mechanism.expect("a handshake came before");
        self.proof = Some(SaslProof { user, mechanism, since_ns, until_ns, ends_ns });
        self.exchange = Exchange::None;
        assert!(self.proof.is_some() && !self.awaits_raw(), "an exchange ends with its proof");
        assert!(
            until_ns.is_none_or(|until_ns| until_ns >= since_ns),
            "a proof that was over before it was made"
        );
        let lifetime_ms = until_ns.map(|until_ns| (until_ns - since_ns) / NS_PER_MS);
        SaslStep::Proven { message, lifetime_ms }
    }
}

impl PasswordCheck {
    fn new(plain: PlainMessage, ground: &SaslGround<'_>) -> Self {
        // The hash that is done sooner, where a user has both.
        let hashes = [Mechanism::ScramSha256, Mechanism::ScramSha512];
        let found = hashes.into_iter().find_map(|hash| ground.users.scram(&plain.user, hash));
        let is_known = found.is_some();
        let credential = found.unwrap_or_else(|| ground.decoys.of(&plain.user, hashes[0]));
        let stretch =
            Stretch::new(credential.keys.hash, &plain.password, &credential.salt, credential.iterations);
        Self { user: plain.user, is_known, keys: credential.keys, stretch }
    }

    /// The user, where the password is its.
    fn finish(self) -> Option<String> {
        let hash = self.stretch.hash();
        let salted: ScramDigest = self.stretch.finish();
        let given = ScramKeys::of_salted_password(hash, salted.as_bytes());
        let is_right = given.stored_key.is(&self.keys.stored_key);
        (is_right & self.is_known).then_some(self.user)
    }
}

fn token_user(message: &[u8], ground: &SaslGround<'_>) -> Result<(String, u64), SaslFailure> {
    let bearer = BearerMessage::read(message)?;
    let (keys, rules) = ground.tokens.as_ref().ok_or(SaslFailure::Token(TokenError::Key))?;
    let user = check_token(bearer.token, keys, rules, ground.wall_s)?;
    if bearer.authzid.is_some_and(|named| named != user.name) {
        return Err(SaslFailure::OtherName);
    }
    let left_ns = (user.ends_s - ground.wall_s).saturating_mul(1_000_000_000);
    Ok((user.name, ground.mono_ns.saturating_add(left_ns)))
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
