//! Topics that were deleted a moment ago. Clients that still know one go on asking for its
//! metadata, and most allow that to make it: the deletion would seem not to have happened.

use engine::clock::Now;
use engine::control::View;
use engine::ids::Index;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// For so long a deleted topic is unknown to those that ask for its metadata, even where they would
/// make it. Long enough for whoever deleted it to end what it still has open; short against the
/// 30 to 60 s for which producers wait for a topic to appear.
const GRACE: Duration = Duration::from_secs(5);

/// By name, until when. The names are as many as the views tell of, at most
/// [`engine::control::view_builder::DELETED_MAX`].
#[derive(Debug, Default)]
pub struct JustDeleted {
    until_ns: BTreeMap<Arc<str>, u64>,
    /// The newest view that was looked at.
    version: Index,
}

impl JustDeleted {
    /// A new view is here.
    pub fn learn(&mut self, view: &View, now: Now) {
        let is_first = self.version == Index::NONE;
        let known = core::mem::replace(&mut self.version, view.version);
        let news = view.deleted.iter().rev().take_while(|(_, version)| *version > known);
        if is_first || view.deleted.back().is_none_or(|(_, version)| *version <= known) {
            return;
        }
        self.until_ns.retain(|_, until_ns| *until_ns > now.mono_ns);
        self.until_ns.extend(news.map(|(name, _)| (name.clone(), now.plus(GRACE))));
    }

    pub fn contains(&self, name: &str, now: Now) -> bool {
        self.until_ns.get(name).is_some_and(|until_ns| *until_ns > now.mono_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(version: u64, deleted: &[(&str, u64)]) -> View {
        let deleted = deleted.iter().map(|(name, version)| (Arc::from(*name), Index(*version))).collect();
        View { version: Index(version), deleted: Arc::new(deleted), ..View::default() }
    }

    fn at(mono_ns: u64) -> Now {
        Now { mono_ns, wall_ms: 0 }
    }

    #[test]
    fn a_name_is_known_for_a_while_after_its_deletion_and_no_longer() {
        let mut deleted = JustDeleted::default();
        deleted.learn(&view(5, &[]), at(0));
        let known = |deleted: &JustDeleted, now| ["a", "b", "c"].map(|name| deleted.contains(name, at(now)));
        deleted.learn(&view(8, &[("a", 6), ("b", 8)]), at(10));
        let grace = u64::try_from(GRACE.as_nanos()).unwrap();
        assert_eq!(known(&deleted, 9 + grace), [true, true, false], "also from a view that was left out");
        assert_eq!(known(&deleted, 10 + grace), [false; 3]);
        deleted.learn(&view(9, &[("a", 6), ("b", 8), ("c", 9)]), at(10 + grace));
        assert_eq!(known(&deleted, 11 + grace), [false, false, true], "what was known before is no news");
        assert_eq!(deleted.until_ns.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn what_was_deleted_before_the_first_view_is_long_gone() {
        let mut deleted = JustDeleted::default();
        deleted.learn(&view(3, &[("a", 3)]), at(5));
        assert!(!deleted.contains("a", at(6)));
    }
}
