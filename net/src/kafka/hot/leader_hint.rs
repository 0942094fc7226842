//! KIP-951: an answer "not the leader" names the leader and how to reach it.

use crate::kafka::broker::Broker;
use crate::kafka::codec::cursor::Writer;

/// The leader, as another broker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    pub broker: Broker,
    pub epoch: i32,
}

/// The tagged fields of a partition: only its current leader, as field `tag`.
pub fn write_leader_tag(writer: &mut Writer<'_>, tag: u32, leader: &LeaderHint) {
    writer.uvarint(1);
    writer.uvarint(tag);
    // Two numbers of four bytes and no tagged fields within.
    writer.uvarint(9);
    writer.i32(leader.broker.id);
    writer.i32(leader.epoch);
    writer.no_tags();
}

/// The tagged fields of a response: only the endpoints of the leaders named in it, as field 0.
pub fn write_endpoints<'a>(writer: &mut Writer<'_>, leaders: impl Iterator<Item = &'a LeaderHint>) {
    let mut brokers: Vec<&Broker> = leaders.map(|leader| &leader.broker).collect();
    brokers.sort_by_key(|broker| broker.id);
    brokers.dedup_by_key(|broker| broker.id);
    if brokers.is_empty() {
        return writer.no_tags();
    }
    let mut bytes = Vec::new();
    let mut field = Writer { to: &mut bytes, flexible: true };
    field.length(brokers.len());
    for broker in brokers {
        field.i32(broker.id);
        field.string(&broker.host);
        field.i32(i32::from(broker.port));
        field.nullable_string(broker.rack.as_deref());
        field.no_tags();
    }
    writer.uvarint(1);
    writer.uvarint(0);
    writer.uvarint(bytes.len() as u32);
    writer.to.extend_from_slice(&bytes);
}
