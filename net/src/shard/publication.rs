//! Which shards have applied which of the metadata views that this shard published, and what
//! waits for all of them. Knows neither views nor channels.

use engine::ids::ShardId;
use std::collections::VecDeque;

/// The publisher's book: answers of type `T` are held until every shard has the view.
pub struct Publication<T> {
    /// Views are numbered from 1 in the order of their publication.
    published: u64,
    /// By shard: the newest view applied. `applied ≤ published`.
    applied: Vec<u64>,
    /// Oldest first; each with the view that it waits for.
    held: VecDeque<(u64, T)>,
}

impl<T> Publication<T> {
    pub fn new(shards: u16) -> Self {
        Self { published: 0, applied: vec![0; usize::from(shards)], held: VecDeque::new() }
    }

    /// A new view goes out; gives its number.
    pub fn publish(&mut self) -> u64 {
        self.published += 1;
        self.published
    }

    /// Holds an answer until every shard has the newest view; gives it back when all have.
    pub fn hold(&mut self, answer: T) -> Option<T> {
        if self.everywhere() == self.published {
            return Some(answer);
        }
        self.held.push_back((self.published, answer));
        None
    }

    /// A shard applied a view: the answers that waited for just that.
    pub fn applied(&mut self, shard: ShardId, view: u64) -> Vec<T> {
        let applied = &mut self.applied[usize::from(shard.0)];
        assert!(*applied < view && view <= self.published, "shard {shard} applied view {view}");
        *applied = view;
        let everywhere = self.everywhere();
        let ready = self.held.iter().take_while(|(view, _)| *view <= everywhere).count();
        self.held.drain(..ready).map(|(_, answer)| answer).collect()
    }

    fn everywhere(&self) -> u64 {
        self.applied.iter().copied().min().expect("a node has a shard")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_waits_for_the_last_shard() {
        let mut publication = Publication::new(2);
        assert_eq!(publication.hold("nothing published"), Some("nothing published"));
        assert_eq!(publication.publish(), 1);
        assert_eq!(publication.hold("first"), None);
        assert_eq!(publication.publish(), 2);
        assert_eq!(publication.hold("second"), None);
        assert!(publication.applied(ShardId(0), 2).is_empty());
        assert_eq!(publication.applied(ShardId(1), 1), ["first"]);
        assert_eq!(publication.applied(ShardId(1), 2), ["second"]);
        assert_eq!(publication.hold("all have it"), Some("all have it"));
    }
}
