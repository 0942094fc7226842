//! `duramen node stop`: a field of ElectLeaders, which other clients never send, asks the node that it names to
//! stop. That request needs the right to alter the cluster, and whoever stops a node moves leaders.

use engine::ids::NodeId;
use kafka_wire_core::{TaggedField, TaggedFields};

/// `dura` + 2: far above the tags that Kafka gives out.
const TAG: u32 = u32::from_be_bytes(*b"dura") + 2;

pub fn question(node: NodeId) -> TaggedFields {
    let field = TaggedField::new(TAG, node.0.to_be_bytes().to_vec().into());
    TaggedFields::from_sorted(vec![field]).expect("one is sorted")
}

/// Whom a request asks to stop.
pub fn asked(tags: &TaggedFields) -> Option<NodeId> {
    let field = tags.iter().find(|field| field.tag() == TAG)?;
    Some(NodeId(u32::from_be_bytes(field.data().as_ref().try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_a_node_and_other_clients_ask_for_nothing() {
        assert_eq!(asked(&question(NodeId(7))), Some(NodeId(7)));
        assert_eq!(asked(&TaggedFields::default()), None);
        let short = TaggedField::new(TAG, vec![1].into());
        assert_eq!(asked(&TaggedFields::from_sorted(vec![short]).expect("one is sorted")), None);
    }
}
