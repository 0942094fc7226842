//! The name of a node in its certificate, `duramen://TRUST-DOMAIN/node/ID`, and of the domain itself.

use engine::ids::NodeId;
use std::fmt;

const SCHEME: &str = "duramen://";
const TRUST_DOMAIN_BYTES_MAX: usize = 63;

/// A node of a trust domain: those whose certificates one authority makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    pub trust_domain: String,
    pub node: NodeId,
}

impl NodeName {
    /// Exactly as it is written: nothing is decoded, completed or passed over.
    pub fn parse(uri: &str) -> Option<Self> {
        let (trust_domain, rest) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        let digits = rest.strip_prefix("node/")?;
        let node = NodeId(digits.parse().ok()?);
        // One node has one name: no sign, no zeros in front.
        (is_trust_domain(trust_domain) && node.0.to_string() == digits)
            .then(|| Self { trust_domain: trust_domain.to_owned(), node })
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/node/{}", self.trust_domain, self.node.0)
    }
}

/// The name that stands in the authority's own certificate.
pub fn of_domain(trust_domain: &str) -> String {
    format!("{SCHEME}{trust_domain}")
}

/// The domain that an authority's certificate names.
pub fn domain(uri: &str) -> Option<&str> {
    uri.strip_prefix(SCHEME).filter(|domain| is_trust_domain(domain))
}

/// Lower case letters, digits, `-`, `_` and `.`, as SPIFFE has them.
pub fn is_trust_domain(text: &str) -> bool {
    let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-_.".contains(char);
    (1..=TRUST_DOMAIN_BYTES_MAX).contains(&text.len()) && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let name = NodeName { trust_domain: "prod-1.example".into(), node: NodeId(7) };
        assert_eq!(name.to_string(), "duramen://prod-1.example/node/7");
        assert_eq!(NodeName::parse(&name.to_string()), Some(name));
        assert_eq!(domain(&of_domain("prod-1.example")), Some("prod-1.example"));
    }

    #[test]
    fn what_is_only_like_a_name_is_none() {
        for uri in [
            "duramen://a/node/07",
            "duramen://a/node/+7",
            "duramen://a/node/7/",
            "duramen://a/node/",
            "duramen://a/node/-1",
            "duramen://a/node/4294967296",
            "duramen://a/user/7",
            "duramen:///node/7",
            "duramen://A/node/7",
            "duramen://a b/node/7",
            "duramen://a/b/node/7",
            "Duramen://a/node/7",
            "spiffe://a/node/7",
        ] {
            assert_eq!(NodeName::parse(uri), None, "{uri}");
        }
        assert_eq!(domain("duramen://a/node/7"), None);
    }
}
