//! What the catalog finds is what a walk through all containers would.

use super::*;
use crate::journal::read::samples::{enter_one, on_containers};

const P: PartitionId = PartitionId(1);

/// Partition 1 is in containers 0, 1, 3 and 4; partition 2 in 0, 2 and 4.
const CONTAINERS: &[&[(u64, i64, i64)]] = &[
    &[(1, 0, 50), (1, 3, 10), (2, 0, 1)],
    &[(1, 6, 20)],
    &[(2, 3, 2)],
    // What an entry held was accepted as lost.
    &[(1, 12, 90)],
    &[(1, 15, 30), (2, 6, 3)],
];

/// Base of the container that an offset was found in, and the first offset of the item.
async fn found(catalog: &Catalog, partition: PartitionId, offset: i64) -> Option<(u64, i64)> {
    let found = catalog.finder().items_from(partition, Offset(offset), 8).await.expect("good files");
    found.map(|found| match found {
        FoundIn::Items(sealed, items) => (sealed.base.0, items[0].first_offset.0),
        FoundIn::Chunks(run, _) => panic!("{} is not there", run.id),
    })
}

#[test]
fn an_offset_is_found_whether_or_not_its_container_is_entered() {
    for entered in 0..=CONTAINERS.len() {
        on_containers(CONTAINERS, entered, async move |catalog| {
            let expected = [
                (0, Some((1, 0))),
                (5, Some((1, 0))),
                (6, Some((2, 6))),
                (9, Some((4, 12))),
                (12, Some((4, 12))),
                (17, Some((5, 15))),
                (18, None),
            ];
            for (offset, at) in expected {
                assert_eq!(found(&catalog, P, offset).await, at, "offset {offset}, {entered} entered");
            }
            assert_eq!(found(&catalog, PartitionId(2), 3).await, Some((3, 3)));
            assert_eq!(found(&catalog, PartitionId(3), 0).await, None);
        });
    }
}

#[test]
fn only_containers_that_have_the_partition_are_met() {
    on_containers(CONTAINERS, 4, async |catalog| {
        let finder = catalog.finder();
        let mut met = Vec::new();
        let mut from = 0;
        while let Some((number, _)) = finder.next(P, from, i64::MIN) {
            met.push(number);
            from = number + 1;
        }
        assert_eq!(met, [0, 1, 3, 4]);
        assert_eq!(finder.next_entered(P, 4).map(|(number, _)| number), None, "it is not entered");
        assert_eq!(finder.next(P, 0, 91).map(|(number, _)| number), Some(4), "it may have any time");
        enter_one(&catalog).await;
        assert_eq!(finder.next(P, 0, 91).map(|(number, _)| number), None);
    });
}

#[test]
fn the_front_is_dead_once_all_in_it_is() {
    on_containers(CONTAINERS, 2, async |catalog| {
        assert!(!catalog.is_front_dead());
        catalog.note_dead(P, 0, 200);
        catalog.note_dead(P, 1, 100);
        assert_eq!(
            (catalog.is_front_dead(), catalog.dead_bytes(), catalog.pinned_bytes()),
            (false, 300, 300)
        );
        catalog.note_dead(PartitionId(2), 0, 100);
        assert_eq!((catalog.is_front_dead(), catalog.dead_bytes(), catalog.pinned_bytes()), (true, 400, 0));
        assert_eq!(catalog.pop_front().base, Index(1));
        assert_eq!((catalog.containers()[0].last(), catalog.dead_bytes()), (Index(2), 100));
        assert_eq!(catalog.pop_front().base, Index(2));
        assert!(!catalog.is_front_dead(), "container 2 is not entered");
        assert_eq!(found(&catalog, P, 0).await, Some((4, 12)));
        enter_one(&catalog).await;
        enter_one(&catalog).await;
        assert_eq!(catalog.finder().alive_from(P), 2);
        catalog.note_dead(PartitionId(2), 2, 100);
        assert!(catalog.is_front_dead());
    });
}

#[test]
fn a_reader_keeps_what_it_found() {
    on_containers(CONTAINERS, 1, async |catalog| {
        let (_, container) = catalog.finder().next(P, 0, i64::MIN).expect("there");
        let log = Rc::clone(container.segment().expect("it is one"));
        assert!(log.is_read(2));
        drop(container);
        assert!(!log.is_read(2), "log and catalog keep it, and no reader");
    });
}

#[test]
#[should_panic(expected = "is alive")]
fn what_is_alive_never_goes() {
    on_containers(CONTAINERS, 5, async |catalog| {
        catalog.note_dead(P, 0, 200);
        catalog.pop_front();
    });
}
