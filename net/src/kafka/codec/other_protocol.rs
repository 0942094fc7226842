//! What the first four bytes of a stream are when they are no frame's length: another protocol's begin.

/// What the other side most likely speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherProtocol {
    Tls,
    Http,
}

impl OtherProtocol {
    /// Lengths of frames that are allowed begin with a zero byte or with 1 to 6: none of these do.
    pub fn of(first: [u8; 4]) -> Option<Self> {
        match first {
            // A TLS record, handshake or alert: its kind, then version 3.0 to 3.4.
            [0x15 | 0x16, 3, 0..=4, _] => Some(Self::Tls),
            _ if [b"HTTP", b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"PRI "]
                .contains(&&first) =>
            {
                Some(Self::Http)
            }
            _ => None,
        }
    }

    /// For a broker that is spoken to: what the client is.
    pub fn client(self) -> &'static str {
        match self {
            Self::Tls => {
                "it looks like TLS: this listener is plaintext, set the client's security.protocol to PLAINTEXT"
            }
            Self::Http => {
                "it looks like HTTP: this listener speaks Kafka's protocol, see --http-listen for HTTP"
            }
        }
    }

    /// For a client: what the port is.
    pub fn port(self) -> &'static str {
        match self {
            Self::Tls => "the answer looks like TLS: name a plaintext listener of the broker",
            Self::Http => {
                "the answer is HTTP: this is no Kafka port but perhaps a broker's --http-listen; name its --listen"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_told_by_their_first_bytes() {
        assert_eq!(OtherProtocol::of(369_295_618i32.to_be_bytes()), Some(OtherProtocol::Tls));
        assert_eq!(OtherProtocol::of([0x15, 3, 3, 0]), Some(OtherProtocol::Tls));
        assert_eq!(OtherProtocol::of(*b"GET "), Some(OtherProtocol::Http));
        assert_eq!(OtherProtocol::of(*b"HTTP"), Some(OtherProtocol::Http));
        assert_eq!(OtherProtocol::of([0, 0, 0, 20]), None);
        assert_eq!(OtherProtocol::of(i32::MAX.to_be_bytes()), None);
        assert_eq!(OtherProtocol::of((-1i32).to_be_bytes()), None);
    }

    #[test]
    fn no_frame_that_is_allowed_is_mistaken() {
        for length in [8, 1 << 16, 50 << 20, crate::client::frame::FRAME_BYTES_MAX as u32] {
            assert_eq!(OtherProtocol::of(length.to_be_bytes()), None, "{length}");
        }
    }
}
