//! A shard as a broker to clients.

use crate::kafka::listener::Listener;
use engine::ids::ShardId;
use engine::shard::Advertised;

/// A shard as a broker to clients of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: u16,
    pub rack: Option<String>,
}

impl Broker {
    /// None where its node has no such listener: there is no address for its clients.
    pub fn new(id: i32, shard: ShardId, advertised: &Advertised, listener: &Listener) -> Option<Self> {
        let (host, first_port) = if listener.is_plain() {
            (&advertised.host, advertised.first_port)
        } else {
            let named = advertised.listeners.iter().find(|named| named.name == listener.name)?;
            (&named.host, named.first_port)
        };
        let port = first_port.saturating_add(shard.0);
        Some(Self { id, host: host.clone(), port, rack: advertised.rack.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::security_protocol::SecurityProtocol;
    use engine::shard::AdvertisedListener;

    #[test]
    fn each_listener_has_its_own_address_or_none() {
        let outside =
            AdvertisedListener { name: "OUTSIDE".into(), protocol: 1, host: "o".into(), first_port: 19092 };
        let advertised =
            Advertised { host: "i".into(), first_port: 9092, rack: None, listeners: vec![outside] };
        let address = |listener: &Listener| {
            let broker = Broker::new(2, ShardId(2), &advertised, listener)?;
            Some((broker.host, broker.port))
        };
        let named = |name: &str| Listener { name: name.to_owned(), protocol: SecurityProtocol::Ssl };
        assert_eq!(address(&Listener::plain()), Some(("i".to_owned(), 9094)));
        assert_eq!(address(&named("OUTSIDE")), Some(("o".to_owned(), 19094)));
        assert_eq!(address(&named("INSIDE")), None);
    }
}
