//! `duramen topic alter NAME --replication-factor N`: Kafka has no request that leaves the choice of nodes to the
//! cluster, so it is a field of AlterPartitionReassignments that other clients never send.

use kafka_wire_core::{TaggedField, TaggedFields};

/// `dura` + 3: far above the tags that Kafka gives out.
const TAG: u32 = u32::from_be_bytes(*b"dura") + 3;

pub fn question(topic: &str, factor: u16) -> TaggedFields {
    let data = [&factor.to_be_bytes()[..], topic.as_bytes()].concat();
    TaggedFields::from_sorted(vec![TaggedField::new(TAG, data.into())]).expect("one is sorted")
}

/// Which topic is to have how many copies.
pub fn asked(tags: &TaggedFields) -> Option<(String, u16)> {
    let field = tags.iter().find(|field| field.tag() == TAG)?;
    let (factor, topic) = field.data().as_ref().split_first_chunk::<2>()?;
    Some((str::from_utf8(topic).ok()?.to_owned(), u16::from_be_bytes(*factor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_a_topic_and_other_clients_ask_for_nothing() {
        assert_eq!(asked(&question("orders", 3)), Some(("orders".to_owned(), 3)));
        assert_eq!(asked(&TaggedFields::default()), None);
        let short = TaggedField::new(TAG, vec![1].into());
        assert_eq!(asked(&TaggedFields::from_sorted(vec![short]).expect("one is sorted")), None);
    }
}
