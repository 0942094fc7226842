//! The keys of SCRAM (RFC 5802): from a password to what a client keeps, and from that to what a server keeps.

use engine::control::credentials::{Credential, Mechanism};
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// The iterations that a new credential gets where nobody says: twice Kafka's own, which a client pays at each log-in.
pub const ITERATIONS_DEFAULT: u32 = 8_192;

pub fn hmac_of(mechanism: Mechanism) -> hmac::Algorithm {
    match mechanism {
        Mechanism::ScramSha256 => hmac::HMAC_SHA256,
        Mechanism::ScramSha512 => hmac::HMAC_SHA512,
    }
}

pub fn digest_of(mechanism: Mechanism) -> &'static digest::Algorithm {
    hmac_of(mechanism).digest_algorithm()
}

/// `Hi(password, salt, iterations)`, all at once: for commands. A shard, which must not be held, has no password to
/// salt.
pub fn salted_password(
    mechanism: Mechanism,
    password: &[u8],
    salt: &[u8],
    iterations: NonZeroU32,
) -> Vec<u8> {
    let mut salted = vec![0; mechanism.digest_bytes()];
    let algorithm = match mechanism {
        Mechanism::ScramSha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        Mechanism::ScramSha512 => pbkdf2::PBKDF2_HMAC_SHA512,
    };
    pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
    salted
}

/// What a server keeps of a salted password: it may be forgotten afterwards.
pub fn credential(mechanism: Mechanism, iterations: u32, salt: &[u8], salted_password: &[u8]) -> Credential {
    let key = hmac::Key::new(hmac_of(mechanism), salted_password);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(digest_of(mechanism), client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    Credential {
        iterations,
        salt: salt.to_vec(),
        stored_key: stored_key.as_ref().to_vec(),
        server_key: server_key.as_ref().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 7677's exchange: what the server keeps of it proves the client, and the client the server.
    #[test]
    fn the_exchange_of_rfc_7677_comes_out() {
        // `W22ZaJ0SNY7soEsUEjb6gQ==`
        let salt =
            [0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
        let mechanism = Mechanism::ScramSha256;
        let iterations = NonZeroU32::new(4_096).expect("not zero");
        let salted = salted_password(mechanism, b"pencil", &salt, iterations);
        let kept = credential(mechanism, iterations.get(), &salt, &salted);
        let message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server = hmac::sign(&hmac::Key::new(hmac_of(mechanism), &kept.server_key), message);
        // `6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=`
        assert_eq!(hex(server.as_ref()), "eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e");
        // `dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=` is the client's proof.
        let proof = [
            0x74, 0x7c, 0xdb, 0x65, 0xaa, 0x56, 0x22, 0x4e, 0x23, 0x52, 0x13, 0x7e, 0x52, 0xd7, 0xbd, 0xca,
            0xd6, 0xa0, 0xf7, 0x38, 0xdf, 0x30, 0x78, 0x2c, 0xaa, 0x69, 0xa2, 0xcf, 0xb0, 0x27, 0x75, 0x54,
        ];
        let signature = hmac::sign(&hmac::Key::new(hmac_of(mechanism), &kept.stored_key), message);
        let client_key: Vec<u8> =
            proof.iter().zip(signature.as_ref()).map(|(proof, sign)| proof ^ sign).collect();
        let stored = digest::digest(digest_of(mechanism), &client_key);
        assert_eq!(stored.as_ref(), kept.stored_key);
    }

    #[test]
    fn keys_have_the_mechanisms_length() {
        for mechanism in Mechanism::ALL {
            let kept = credential(mechanism, 4_096, b"salt", b"salted");
            assert_eq!(kept.stored_key.len(), mechanism.digest_bytes());
            assert_eq!(kept.server_key.len(), mechanism.digest_bytes());
            assert_ne!(kept.stored_key, kept.server_key);
        }
    }
}
