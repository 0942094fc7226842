//! Incremental fetch sessions (KIP-227): a client names its partitions once, then only what
//! changes, and is told only what changed. The cache is bounded; a client that finds no place
//! gets session id 0 and goes on without one.

use crate::kafka::codec::cursor::PARTITIONS_MAX;
use engine::collections::Map;
use engine::ids::TopicId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Partitions in all sessions of a shard: 200,000 of about 150 bytes are 30 MB.
const ALL_PARTITIONS_MAX: usize = 200_000;
/// A session unused for this long gives its place to a new one, as in Kafka.
const EVICTABLE_AFTER_NS: u64 = 120_000_000_000;

/// A partition as the client fetches it, and what it was last told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    pub topic: Arc<str>,
    pub topic_id: TopicId,
    pub number: i32,
    pub leader_epoch: i32,
    pub offset: i64,
    pub last_fetched_epoch: i32,
    pub max_bytes: i32,
}

impl Followed {
    pub fn key(&self) -> Key {
        Key::of(&self.topic, self.topic_id, self.number)
    }
}

/// What the client was last told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Told {
    pub high_watermark: i64,
    pub log_start: i64,
}

/// A partition as a session names it. By id alone where the client names topics by id: the name is
/// gone with the topic, and a client forgets it after that (KIP-516).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Name(Arc<str>, i32),
    Id(TopicId, i32),
}

impl Key {
    /// A topic named by its name has no id here.
    pub fn of(name: &Arc<str>, id: TopicId, number: i32) -> Self {
        match id {
            TopicId(0) => Self::Name(Arc::clone(name), number),
            id => Self::Id(id, number),
        }
    }

    fn is_by_id(&self) -> bool {
        matches!(self, Self::Id(..))
    }
}

struct Session {
    /// The epoch of the next request.
    epoch: i32,
    used_ns: u64,
    /// In the order of fetching: what gave records goes to the end, so that none starves.
    order: BTreeMap<u64, (Followed, Option<Told>)>,
    /// Sorted: clients choose the keys, and could make all of them one in a hash map.
    places: BTreeMap<Key, u64>,
    next_place: u64,
}

/// Why a request of a session was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    NotFound,
    WrongEpoch,
    /// Topics are named by id in a session that began with names, or the other way round.
    OtherNames,
}

/// One shard's sessions.
pub struct Sessions {
    /// Kafka's `max.incremental.fetch.session.cache.slots`.
    sessions_max: usize,
    by_id: Map<i32, Session>,
    partitions: usize,
}

impl Sessions {
    pub fn new(sessions_max: usize) -> Self {
        Self { sessions_max, by_id: Map::default(), partitions: 0 }
    }

    /// A new session with these partitions; 0 when there is no place for it. `id` is random.
    pub fn open(&mut self, id: i32, now_ns: u64, partitions: &[Followed]) -> i32 {
        let no_room = |this: &Self| {
            this.by_id.len() >= this.sessions_max || this.partitions + partitions.len() > ALL_PARTITIONS_MAX
        };
        if no_room(self) {
            self.evict(now_ns);
        }
        if no_room(self) || id <= 0 || self.by_id.contains_key(&id) {
            return 0;
        }
        let mut session = Session {
            epoch: 1,
            used_ns: now_ns,
            order: BTreeMap::new(),
            places: BTreeMap::new(),
            next_place: 0,
        };
        for partition in partitions {
            session.follow(partition.clone());
        }
        self.partitions += session.order.len();
        self.by_id.insert(id, session);
        id
    }

    pub fn close(&mut self, id: i32) {
        if let Some(session) = self.by_id.remove(&id) {
            self.partitions -= session.order.len();
        }
    }

    /// A further request of a session: its changes are taken over and all it follows is given.
    pub fn advance(
        &mut self,
        (id, epoch): (i32, i32),
        now_ns: u64,
        changed: &[Followed],
        forgotten: &[Key],
    ) -> Result<Vec<Followed>, SessionError> {
        let session = self.by_id.get_mut(&id).ok_or(SessionError::NotFound)?;
        if session.epoch != epoch {
            return Err(SessionError::WrongEpoch);
        }
        if let Some((followed, _)) = session.order.values().next() {
            let by_id = followed.topic_id != TopicId(0);
            let named = changed.iter().map(|followed| followed.topic_id != TopicId(0));
            if named.chain(forgotten.iter().map(Key::is_by_id)).any(|named| named != by_id) {
                return Err(SessionError::OtherNames);
            }
        }
        session.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        session.used_ns = now_ns;
        let before = session.order.len();
        for key in forgotten {
            if let Some(place) = session.places.remove(key) {
                session.order.remove(&place);
            }
        }
        for partition in changed {
            session.follow(partition.clone());
        }
        self.partitions = self.partitions - before + session.order.len();
        if session.order.len() > PARTITIONS_MAX {
            // What no single request may name is not brought together by many.
            self.close(id);
            return Err(SessionError::NotFound);
        }
        Ok(session.order.values().map(|(followed, _)| followed.clone()).collect())
    }

    /// Notes what the client is about to be told; true when it differs from what it was told.
    /// What gave records goes to the end of the order.
    pub fn tell(&mut self, id: i32, key: &Key, told: Told, gave_records: bool) -> bool {
        let Some(session) = self.by_id.get_mut(&id) else { return true };
        let Some(place) = session.places.get_mut(key) else { return true };
        let (followed, before) = session.order.remove(place).expect("a place is in the order");
        if gave_records {
            *place = session.next_place;
            session.next_place += 1;
        }
        session.order.insert(*place, (followed, Some(told)));
        before != Some(told)
    }

    /// An error was told: whatever comes next is news.
    pub fn forget_told(&mut self, id: i32, key: &Key) {
        let Some(session) = self.by_id.get_mut(&id) else { return };
        let place = session.places.get(key);
        if let Some((_, told)) = place.and_then(|place| session.order.get_mut(place)) {
            *told = None;
        }
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn evict(&mut self, now_ns: u64) {
        let oldest = self.by_id.iter().min_by_key(|(id, session)| (session.used_ns, **id));
        let Some((&id, session)) = oldest else { return };
        if now_ns.saturating_sub(session.used_ns) > EVICTABLE_AFTER_NS {
            self.close(id);
        }
    }
}

impl Session {
    fn follow(&mut self, followed: Followed) {
        let key = followed.key();
        let told = match self.places.get(&key) {
            Some(place) => return self.order.get_mut(place).expect("a place is in the order").0 = followed,
            None => None,
        };
        self.places.insert(key, self.next_place);
        self.order.insert(self.next_place, (followed, told));
        self.next_place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSIONS_MAX: usize = 1000;

    fn followed(number: i32, offset: i64) -> Followed {
        Followed {
            topic: Arc::from("t"),
            topic_id: TopicId(1),
            number,
            leader_epoch: -1,
            offset,
            last_fetched_epoch: -1,
            max_bytes: 100,
        }
    }

    fn key(number: i32) -> Key {
        Key::Id(TopicId(1), number)
    }

    #[test]
    fn a_session_remembers_what_is_fetched_and_what_was_told() {
        let mut sessions = Sessions::new(SESSIONS_MAX);
        assert_eq!(sessions.open(7, 0, &[followed(0, 0), followed(1, 0)]), 7);
        let told = Told { high_watermark: 5, log_start: 0 };
        assert!(sessions.tell(7, &key(0), told, true), "the first telling is news");
        assert!(!sessions.tell(7, &key(0), told, false));
        sessions.forget_told(7, &key(0));
        assert!(sessions.tell(7, &key(0), told, false));
        let all = sessions.advance((7, 1), 0, &[followed(0, 3), followed(2, 0)], &[]).expect("known");
        let numbers: Vec<_> = all.iter().map(|one| (one.number, one.offset)).collect();
        assert_eq!(numbers, [(1, 0), (0, 3), (2, 0)], "what gave records went to the end");
        let all = sessions.advance((7, 2), 0, &[], &[key(1), key(0)]).expect("known");
        assert_eq!(all, [followed(2, 0)]);
    }

    #[test]
    fn a_wrong_epoch_and_an_unknown_session_are_refused() {
        let mut sessions = Sessions::new(SESSIONS_MAX);
        sessions.open(7, 0, &[followed(0, 0)]);
        assert_eq!(sessions.advance((7, 2), 0, &[], &[]), Err(SessionError::WrongEpoch));
        assert_eq!(sessions.advance((8, 1), 0, &[], &[]), Err(SessionError::NotFound));
        let by_name = Followed { topic_id: TopicId(0), ..followed(1, 0) };
        assert_eq!(sessions.advance((7, 1), 0, &[by_name], &[]), Err(SessionError::OtherNames));
        sessions.close(7);
        assert_eq!(sessions.advance((7, 1), 0, &[], &[]), Err(SessionError::NotFound));
        assert_eq!(sessions.partitions, 0);
    }

    #[test]
    fn a_topic_that_is_gone_is_forgotten_by_its_id_alone() {
        let mut sessions = Sessions::new(SESSIONS_MAX);
        sessions.open(7, 0, &[followed(0, 0), followed(1, 0)]);
        // When it is forgotten, nobody knows its name any more.
        let gone = Key::of(&Arc::from(""), TopicId(1), 0);
        assert_eq!(sessions.advance((7, 1), 0, &[], &[gone]), Ok(vec![followed(1, 0)]));
        let renamed = Followed { topic: Arc::from(""), ..followed(1, 9) };
        assert_eq!(
            sessions.advance((7, 2), 0, std::slice::from_ref(&renamed), &[]),
            Ok(vec![renamed.clone()])
        );
    }

    #[test]
    fn no_slots_are_no_sessions() {
        let mut sessions = Sessions::new(0);
        assert_eq!(sessions.open(7, u64::MAX, &[followed(0, 0)]), 0);
    }

    #[test]
    fn a_full_cache_gives_no_session_until_one_is_old() {
        let mut sessions = Sessions::new(SESSIONS_MAX);
        for id in 1..=SESSIONS_MAX as i32 {
            assert_eq!(sessions.open(id, u64::from(id as u32), &[followed(0, 0)]), id);
        }
        assert_eq!(sessions.open(5000, 10, &[]), 0);
        assert_eq!(sessions.open(5000, 2 + EVICTABLE_AFTER_NS, &[]), 5000);
        assert_eq!(sessions.advance((1, 1), 0, &[], &[]), Err(SessionError::NotFound), "the oldest went");
    }
}
