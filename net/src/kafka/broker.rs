//! A shard as a broker to clients.

use engine::ids::ShardId;
use engine::shard::Advertised;

/// A shard as a broker to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: u16,
    pub rack: Option<String>,
}

impl Broker {
    pub fn new(id: i32, shard: ShardId, advertised: &Advertised) -> Self {
        Self {
            id,
            host: advertised.host.clone(),
            port: advertised.first_port.saturating_add(shard.0),
            rack: advertised.rack.clone(),
        }
    }
}
