//! The client's side of SaslHandshake and SaslAuthenticate: frames go out, frames come in, whoever carries them.

use super::how::ClientLogin;
use crate::client::sasl::plain::PlainMessage;
use crate::client::sasl::scram_client::{ScramClient, ScramClientProof};
use crate::kafka::client::{ClientHead, read_response, write_request};
use crate::process::entropy;
use kafka_wire::{SaslAuthenticateRequest, SaslHandshakeRequest};

/// What every broker since 2.2 answers.
const HANDSHAKE_VERSION: i16 = 1;
const AUTHENTICATE_VERSION: i16 = 1;
const UNSUPPORTED_SASL_MECHANISM: i16 = 33;

/// A dialog under way: what the next answer is to.
pub struct SaslDialog<'a> {
    login: &'a ClientLogin,
    client_id: &'a str,
    correlation: i32,
    awaits: Awaits,
}

enum Awaits {
    Handshake,
    ScramFirst(ScramClient),
    ScramLast(ScramClientProof),
    Plain,
}

impl<'a> SaslDialog<'a> {
    /// Begins; the frame to send comes first.
    pub fn begin(login: &'a ClientLogin, client_id: &'a str) -> (Self, Vec<u8>) {
        let mut request = SaslHandshakeRequest::default();
        request.mechanism = login.mechanism.name().into();
        let mut frame = Vec::new();
        write_request(&mut frame, ClientHead { correlation: 0, client_id }, HANDSHAKE_VERSION, &request);
        (Self { login, client_id, correlation: 0, awaits: Awaits::Handshake }, frame)
    }

    /// Takes an answer without its length; gives the next frame to send, or none when the broker knows who we are.
    pub fn take(&mut self, answer: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let awaits = core::mem::replace(&mut self.awaits, Awaits::Plain);
        let message = match awaits {
            Awaits::Handshake => {
                self.take_handshake(answer)?;
                match self.login.mechanism.hash() {
                    Some(hash) => {
                        let nonce = entropy::random::<3>().map(|word| format!("{word:016x}")).concat();
                        let client = ScramClient::new(hash, &self.login.user, &self.login.password, &nonce);
                        let first = client.first().into_bytes();
                        self.awaits = Awaits::ScramFirst(client);
                        first
                    }
                    None => PlainMessage::write(&self.login.user, &self.login.password).to_vec(),
                }
            }
            Awaits::ScramFirst(client) => {
                let told = self.take_authenticate(answer)?;
                let proven = client.prove(&told).map_err(|error| format!("the broker's answer: {error}"));
                let (last, proof) = proven?;
                self.awaits = Awaits::ScramLast(proof);
                last.into_bytes()
            }
            Awaits::ScramLast(proof) => {
                if !proof.is_answered_by(&self.take_authenticate(answer)?) {
                    return Err("the broker does not know the password: it is another one".to_owned());
                }
                return Ok(None);
            }
            Awaits::Plain => {
                self.take_authenticate(answer)?;
                return Ok(None);
            }
        };
        let mut request = SaslAuthenticateRequest::default();
        request.auth_bytes = message.into();
        self.correlation += 1;
        let head = ClientHead { correlation: self.correlation, client_id: self.client_id };
        let mut frame = Vec::new();
        write_request(&mut frame, head, AUTHENTICATE_VERSION, &request);
        Ok(Some(frame))
    }

    fn take_handshake(&self, answer: &[u8]) -> Result<(), String> {
        let response = read_response::<SaslHandshakeRequest>(answer, HANDSHAKE_VERSION);
        let (correlation, response) = response.map_err(|error| error.to_string())?;
        self.check(correlation)?;
        let mechanism = self.login.mechanism.name();
        match response.error_code {
            0 => Ok(()),
            UNSUPPORTED_SASL_MECHANISM => {
                let offered: Vec<&str> = response.mechanisms.iter().map(|one| one.as_str()).collect();
                Err(format!("{mechanism} is not offered here, but {}", offered.join(", ")))
            }
            code => Err(format!("nobody is asked who he is here (error {code}): leave out --user")),
        }
    }

    fn take_authenticate(&self, answer: &[u8]) -> Result<Vec<u8>, String> {
        let response = read_response::<SaslAuthenticateRequest>(answer, AUTHENTICATE_VERSION);
        let (correlation, response) = response.map_err(|error| error.to_string())?;
        self.check(correlation)?;
        if response.error_code == 0 {
            return Ok(response.auth_bytes.to_vec());
        }
        let said = response.error_message.as_ref().map_or("no reason is given", |text| text.as_str());
        Err(format!("user {} is not let in: {said} (error {})", self.login.user, response.error_code))
    }

    fn check(&self, correlation: i32) -> Result<(), String> {
        if correlation == self.correlation {
            Ok(())
        } else {
            Err("the answer is to another request".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::how::LoginMechanism;
    use crate::client::sasl::credentials::Decoys;
    use crate::client::sasl::credentials::tests::Known;
    use crate::client::sasl::scram::ScramExchange;
    use crate::kafka::codec::header;
    use crate::kafka::codec::wire::{self, BytesMut, KafkaEncode};
    use engine::control::credentials::Mechanism;
    use kafka_wire::{SaslAuthenticateResponse, SaslHandshakeResponse};
    use zeroize::Zeroizing;

    fn login(mechanism: LoginMechanism) -> ClientLogin {
        ClientLogin { user: "anna".into(), password: Zeroizing::new(b"pencil".to_vec()), mechanism }
    }

    fn answer<T: KafkaEncode>(correlation: i32, response: &T) -> Vec<u8> {
        let mut frame = header::begin_answer(correlation);
        let mut body = BytesMut::new();
        wire::encode(&mut body, response, 1).expect("encoded");
        frame.extend_from_slice(&body);
        frame.split_off(4)
    }

    fn message(frame: &[u8]) -> Vec<u8> {
        // Length, header with the client id `me`.
        let request: SaslAuthenticateRequest = wire::decode(&frame[16..], 1).expect("decoded");
        request.auth_bytes.to_vec()
    }

    fn told(correlation: i32, message: Vec<u8>) -> Vec<u8> {
        let mut response = SaslAuthenticateResponse::default();
        response.auth_bytes = message.into();
        answer(correlation, &response)
    }

    #[test]
    fn scram_goes_its_way_and_a_broker_without_the_password_is_found_out() {
        let (users, decoys) = (Known::default().with("anna", "pencil"), Decoys::new(b"secret"));
        for is_true in [true, false] {
            let login = login(LoginMechanism::ScramSha256);
            let (mut dialog, _) = SaslDialog::begin(&login, "me");
            let first = dialog.take(&answer(0, &SaslHandshakeResponse::default())).expect("goes on");
            let first = message(&first.expect("a message"));
            let exchange = ScramExchange::begin(Mechanism::ScramSha256, &first, b"nonce", &users, &decoys);
            let (exchange, server_first) = exchange.expect("taken");
            let last = dialog.take(&told(1, server_first)).expect("goes on").expect("a message");
            let mut server_last = exchange.finish(&message(&last)).expect("whole").expect("proven").message;
            if !is_true {
                server_last[5] ^= 1;
            }
            assert_eq!(dialog.take(&told(2, server_last)).is_ok(), is_true);
        }
    }

    #[test]
    fn what_the_broker_refuses_is_said() {
        let login = login(LoginMechanism::Plain);
        let (mut dialog, _) = SaslDialog::begin(&login, "me");
        let mut none = SaslHandshakeResponse::default();
        (none.error_code, none.mechanisms) = (33, vec!["SCRAM-SHA-256".into()]);
        let refused = dialog.take(&answer(0, &none)).expect_err("refused");
        assert_eq!(refused, "PLAIN is not offered here, but SCRAM-SHA-256");
        let (mut dialog, _) = SaslDialog::begin(&login, "me");
        let sent = dialog.take(&answer(0, &SaslHandshakeResponse::default())).expect("goes on");
        assert_eq!(message(&sent.expect("a message")), b"\0anna\0pencil");
        let mut wrong = SaslAuthenticateResponse::default();
        (wrong.error_code, wrong.error_message) = (58, Some("no".into()));
        let refused = dialog.take(&answer(1, &wrong)).expect_err("refused");
        assert_eq!(refused, "user anna is not let in: no (error 58)");
        let (mut dialog, _) = SaslDialog::begin(&login, "me");
        assert!(dialog.take(&answer(9, &SaslHandshakeResponse::default())).is_err());
    }
}
