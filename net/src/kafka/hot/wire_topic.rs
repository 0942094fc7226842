//! A topic as a request and its answer name it: by its name, and in the newest versions by its id.

use crate::kafka::codec::cursor::{Cursor, Parsed, Writer};
use engine::control::View;
use engine::control::view::TopicView;
use engine::ids::TopicId;
use std::sync::Arc;

/// A topic as a request names it; a name lies in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireTopic<'a> {
    Name(&'a str),
    Id(TopicId),
}

impl<'a> WireTopic<'a> {
    pub fn read(cursor: &mut Cursor<'a>, by_id: bool) -> Parsed<Self> {
        if by_id {
            return Ok(Self::Id(TopicId(cursor.u128()?)));
        }
        Ok(Self::Name(cursor.string()?))
    }

    /// Its name, which an id has only where there is such a topic.
    pub fn name<'n>(self, view: &'n View) -> Option<&'n str>
    where
        'a: 'n,
    {
        match self {
            Self::Name(name) => Some(name),
            Self::Id(id) => view.topic_ids.get(&id).map(|name| &**name),
        }
    }

    /// The topic, where there is one.
    pub fn known(self, view: &View) -> Option<&Arc<TopicView>> {
        let known = view.topics.get(self.name(view)?);
        if let (Self::Id(id), Some(topic)) = (self, known) {
            assert_eq!(topic.id, id, "the two lists of a view tell the same");
        }
        known
    }

    /// As the answer names it. Of a topic that is known the name needs no memory of its own.
    pub fn answered(self, view: &View) -> AnsweredTopic {
        match self {
            Self::Name(name) => {
                let known = view.topics.get_key_value(name);
                AnsweredTopic::Name(known.map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name)))
            }
            Self::Id(id) => AnsweredTopic::Id(id),
        }
    }
}

/// A topic as an answer names it: as the request did, so that an id tells nobody a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnsweredTopic {
    Name(Arc<str>),
    Id(TopicId),
}

impl AnsweredTopic {
    pub fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Name(name) => writer.string(name),
            Self::Id(id) => writer.u128(id.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;

    #[test]
    fn an_id_has_a_name_only_as_long_as_its_topic_is_there() {
        let view = Cluster::new(1).with_topic("a", 7, 2).view();
        let (name, id, gone) = (WireTopic::Name("a"), WireTopic::Id(TopicId(7)), WireTopic::Id(TopicId(8)));
        assert_eq!([name, id, gone].map(|topic| topic.name(&view)), [Some("a"), Some("a"), None]);
        let known = |topic: WireTopic<'_>| topic.known(&view).map(|topic| topic.id);
        assert_eq!([name, id, gone].map(known), [Some(TopicId(7)), Some(TopicId(7)), None]);
        assert_eq!(known(WireTopic::Name("b")), None);
        assert_eq!(WireTopic::Name("b").name(&view), Some("b"));
        // Nobody has the id of no topic.
        assert_eq!(known(WireTopic::Id(TopicId(0))), None);
    }

    #[test]
    fn an_answer_names_a_topic_as_its_request_did() {
        let view = Cluster::new(1).with_topic("a", 7, 2).view();
        let AnsweredTopic::Name(name) = WireTopic::Name("a").answered(&view) else { panic!("a name") };
        assert!(Arc::ptr_eq(&name, &view.topics["a"].name), "the name is shared");
        for id in [7, 8] {
            let id = TopicId(id);
            assert_eq!(WireTopic::Id(id).answered(&view), AnsweredTopic::Id(id));
        }
        let mut bytes = Vec::new();
        let mut writer = Writer { to: &mut bytes, flexible: true };
        WireTopic::Name("a").answered(&view).write(&mut writer);
        AnsweredTopic::Id(TopicId(7)).write(&mut writer);
        let mut cursor = Cursor::new(&bytes, true);
        assert_eq!(WireTopic::read(&mut cursor, false), Ok(WireTopic::Name("a")));
        assert_eq!(WireTopic::read(&mut cursor, true), Ok(WireTopic::Id(TopicId(7))));
        cursor.finish().expect("no more");
    }
}
