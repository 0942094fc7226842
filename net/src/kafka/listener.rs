//! A listener as requests know it: by name, which is what clients are told addresses by.

use super::security_protocol::SecurityProtocol;

/// What clients of one set of ports have in common, the same on every node that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: String,
    pub protocol: SecurityProtocol,
}

impl Listener {
    /// The name of the listener that every node has, `--listen`'s.
    pub const PLAIN: &'static str = "PLAINTEXT";

    pub fn plain() -> Self {
        Self { name: Self::PLAIN.to_owned(), protocol: SecurityProtocol::Plaintext }
    }

    pub fn is_plain(&self) -> bool {
        self.name == Self::PLAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_says_which_one_it_is() {
        assert!(Listener::plain().is_plain());
        let other = Listener { name: "INSIDE".to_owned(), protocol: SecurityProtocol::Plaintext };
        assert!(!other.is_plain(), "a second plaintext listener has addresses of its own");
    }
}
