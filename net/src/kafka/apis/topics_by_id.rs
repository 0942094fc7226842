//! Topics that a request names by id where the broker goes by names: for rights, and in what groups commit.

use crate::kafka::codec::wire::{self, StrBytes, Uuid};
use engine::control::View;

/// OffsetCommit and OffsetFetch: from here on topics have ids in place of names.
pub const OFFSETS_FROM: i16 = 10;

/// Fills in a topic's name; of an id that is not there it stays empty.
pub fn fill_in(view: &View, name: &mut StrBytes, id: Uuid) {
    assert!(name.is_empty(), "a version with ids carries no names");
    if let Some(known) = view.topic_ids.get(&wire::topic_id(id)) {
        *name = StrBytes::from(&**known);
    }
}

/// Whether a topic has no name because there is none of its id. Such ids are no secret.
pub fn is_unknown(version: i16, name: &str) -> bool {
    version >= OFFSETS_FROM && name.is_empty()
}

/// The id of a topic; none where it is not there.
pub fn id_of(view: &View, name: &str) -> Option<Uuid> {
    view.topics.get(name).map(|topic| wire::uuid(topic.id))
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use engine::ids::TopicId;

    #[test]
    fn a_name_is_filled_in_where_there_is_such_a_topic() {
        let view = Cluster::new(1).with_topic("a", 7, 1).view();
        let filled = |id| {
            let mut name = StrBytes::default();
            fill_in(&view, &mut name, id);
            name.as_str().to_owned()
        };
        let seven = wire::uuid(TopicId(7));
        assert_eq!([filled(seven), filled(wire::uuid(TopicId(8))), filled(Uuid::ZERO)], ["a", "", ""]);
        assert_eq!((id_of(&view, "a"), id_of(&view, "b")), (Some(seven), None));
        assert!(is_unknown(10, "") && !is_unknown(10, "a") && !is_unknown(9, ""));
    }
}
