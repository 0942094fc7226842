//! How a member moves from what it has to what it is to have: it gives up first, and gets what
//! others have given up.
//!
//! ```text
//!            something to give up            it says that it gave it up
//!   Stable ───────────────────────→ Unrevoked ──────────────────────┬──→ Stable
//!     ↑  └──────────── others have not given up its share ──┐       │
//!     └──────────────── they have ── Unreleased ←───────────┴───────┘
//! ```

use super::member::{CurrentAssignment, MemberProgress};
use super::partitions::Partitions;
use crate::ids::TopicId;

/// Where a member goes.
pub struct Towards<'a> {
    pub target: &'a Partitions,
    /// The assignment's.
    pub epoch: i32,
    /// What it says that it has; none where it did not say.
    pub owned: Option<&'a Partitions>,
}

/// The member's next step, or the same when there is none. `subscribes` says which topics it wants
/// now, `is_free` which partitions no other member has.
pub fn next(
    current: &CurrentAssignment,
    towards: &Towards<'_>,
    subscribes: impl Fn(TopicId) -> bool,
    is_free: impl Fn((TopicId, i32)) -> bool,
) -> CurrentAssignment {
    let holds = |revoking: &Partitions| towards.owned.is_none_or(|owned| owned.overlaps(revoking));
    if current.progress == MemberProgress::Unrevoked && holds(&current.revoking) {
        return give_up_more(current, subscribes);
    }
    let wanted = |one: (TopicId, i32)| towards.target.contains(one) && subscribes(one.0);
    let (mut assigned, revoking) = current.assigned.split(wanted);
    let missing = towards.target.iter().filter(|one| subscribes(one.0) && !assigned.contains(*one));
    let (new, unreleased): (Vec<_>, Vec<_>) = missing.partition(|one| is_free(*one));
    if !revoking.is_empty() && holds(&revoking) {
        return moved(current, current.epoch, MemberProgress::Unrevoked, assigned, revoking);
    }
    assigned.extend(new);
    let progress = if unreleased.is_empty() { MemberProgress::Stable } else { MemberProgress::Unreleased };
    moved(current, towards.epoch, progress, assigned, Partitions::default())
}

/// What it does not subscribe to any more goes, too.
fn give_up_more(current: &CurrentAssignment, subscribes: impl Fn(TopicId) -> bool) -> CurrentAssignment {
    let (assigned, more) = current.assigned.split(|(topic, _)| subscribes(topic));
    let mut revoking = current.revoking.clone();
    revoking.extend(more.iter());
    moved(current, current.epoch, MemberProgress::Unrevoked, assigned, revoking)
}

/// The same where nothing moved.
fn moved(
    current: &CurrentAssignment,
    epoch: i32,
    progress: MemberProgress,
    assigned: Partitions,
    revoking: Partitions,
) -> CurrentAssignment {
    let next =
        CurrentAssignment { epoch, previous_epoch: current.previous_epoch, progress, assigned, revoking };
    if next == *current {
        return next;
    }
    assert!(!next.assigned.overlaps(&next.revoking), "a partition is kept or given up: {next:?}");
    CurrentAssignment { previous_epoch: current.epoch, ..next }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TopicId = TopicId(1);
    const U: TopicId = TopicId(2);

    fn of(numbers: &[i32]) -> Partitions {
        numbers.iter().map(|number| (T, *number)).collect()
    }

    fn has(epoch: i32, numbers: &[i32]) -> CurrentAssignment {
        CurrentAssignment {
            epoch,
            previous_epoch: epoch - 1,
            assigned: of(numbers),
            ..CurrentAssignment::default()
        }
    }

    fn step(
        current: &CurrentAssignment,
        target: &[i32],
        owned: Option<&[i32]>,
        taken: &[i32],
    ) -> CurrentAssignment {
        let (target, owned, taken) = (of(target), owned.map(of), of(taken));
        let towards = Towards { target: &target, epoch: 5, owned: owned.as_ref() };
        next(current, &towards, |_| true, |one| !taken.contains(one))
    }

    #[test]
    fn it_gives_up_before_it_gets() {
        let first = step(&has(4, &[0, 1]), &[1, 2], Some(&[0, 1]), &[]);
        assert_eq!((first.epoch, first.progress), (4, MemberProgress::Unrevoked));
        assert_eq!((&first.assigned, &first.revoking), (&of(&[1]), &of(&[0])));
        for owned in [None, Some(&[0, 1][..]), Some(&[0][..])] {
            assert_eq!(step(&first, &[1, 2], owned, &[]), first, "it has not given it up: {owned:?}");
        }
        let second = step(&first, &[1, 2], Some(&[1]), &[]);
        assert_eq!(second, CurrentAssignment { epoch: 5, previous_epoch: 4, ..has(0, &[1, 2]) });
        assert_eq!(step(&second, &[1, 2], Some(&[1, 2]), &[]), second, "it is there");
    }

    #[test]
    fn what_it_does_not_have_needs_no_giving_up() {
        let next = step(&has(4, &[0, 1]), &[1], Some(&[1]), &[]);
        assert_eq!((next.epoch, next.progress, next.assigned), (5, MemberProgress::Stable, of(&[1])));
        assert!(next.revoking.is_empty());
    }

    #[test]
    fn what_others_have_is_waited_for() {
        let waits = step(&has(4, &[0]), &[0, 1, 2], None, &[1]);
        assert_eq!((waits.epoch, waits.progress), (5, MemberProgress::Unreleased));
        assert_eq!(waits.assigned, of(&[0, 2]), "what is free comes at once");
        assert_eq!(step(&waits, &[0, 1, 2], None, &[1]), waits);
        let all = step(&waits, &[0, 1, 2], None, &[]);
        assert_eq!((all.epoch, all.progress, all.assigned), (5, MemberProgress::Stable, of(&[0, 1, 2])));
    }

    #[test]
    fn a_topic_that_it_left_goes_before_the_next_assignment_is_made() {
        let mut current = has(5, &[0]);
        current.assigned.insert((U, 0));
        let target = current.assigned.clone();
        let towards = Towards { target: &target, epoch: 5, owned: None };
        let first = next(&current, &towards, |topic| topic == T, |_| true);
        assert_eq!((first.progress, first.revoking.len()), (MemberProgress::Unrevoked, 1));
        let more = next(&first, &towards, |_| false, |_| true);
        assert_eq!((more.assigned.len(), more.revoking.len()), (0, 2));
    }
}
