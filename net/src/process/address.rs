//! HOST:PORT as an operator writes it.

use crate::process::refusal::Refusal;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// A host by name or address, without brackets, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    /// Reads `host:port` or `[v6]:port`; `option` is named in the refusal.
    pub fn parse(option: &str, text: &str) -> Result<Self, Refusal> {
        let wrong = || {
            let remedy = "write HOST:PORT, such as 127.0.0.1:9092, broker-1:9092 or [::1]:9092";
            Refusal::usage(format!("{option} '{text}' is not HOST:PORT"), remedy)
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().map(|_| inner).map_err(|_| wrong())?,
            None if host.contains([':', '[', ']', '/', ' ']) || host.is_empty() => return Err(wrong()),
            None => host,
        };
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| wrong())? })
    }

    /// 0.0.0.0 or ::, which name every address and none.
    pub fn is_wildcard(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
    }

    /// The first address that the name stands for. Blocks on DNS, so it happens before any shard.
    pub fn resolve(&self, option: &str) -> Result<SocketAddr, Refusal> {
        let remedy = "use an address of this machine, or a name that resolves to one";
        let mut found = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| Refusal::usage(format!("{option} {self}: {error}"), remedy))?;
        found
            .next()
            .ok_or_else(|| Refusal::usage(format!("{option} {self}: the name has no address"), remedy))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_both_kinds_of_addresses_are_read() {
        for (text, host, port) in
            [("a.b-c:1", "a.b-c", 1), ("10.0.0.1:65535", "10.0.0.1", 65535), ("[::1]:9092", "::1", 9092)]
        {
            let address = Address::parse("--listen", text).expect(text);
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "9092", "host:", "host:99999", "::1:9092", "[zz]:1", "tcp://host:1", ":9092"] {
            assert!(Address::parse("--listen", text).is_err(), "{text}");
        }
    }
}
