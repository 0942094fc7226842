//! A disk that lies about its last entries, and a crash: whoever acknowledged them goes on counting as
//! one that has them, until it is settled what became of them.

use engine::port::Settled;
use tests::sim::cluster::{MS, SECOND};
use tests::sim::scenes::{self, Room};

#[test]
fn what_two_acked_and_one_cannot_read_is_not_voted_away_with_the_third() {
    for (seed, in_head) in [(1, false), (2, true), (3, false), (4, true)] {
        scenes::voted_away(seed, in_head);
    }
}

#[test]
fn a_longer_log_of_an_older_term_does_not_win_by_its_length() {
    (20..24).for_each(scenes::voted_away_for_a_longer_log);
}

#[test]
fn who_forgot_its_votes_is_not_believed() {
    (30..32).for_each(scenes::an_amnesiac_is_asked);
}

#[test]
fn who_founded_a_journal_alone_is_not_alone_once_it_let_another_in() {
    (70..74).for_each(scenes::a_lone_founder_that_grew);
}

#[test]
fn a_tail_that_was_cut_is_not_taken_for_the_logs_end() {
    (40..44).for_each(scenes::a_former_tail);
}

#[test]
fn an_old_copy_of_one_that_acked_elects_nobody() {
    (50..54).for_each(scenes::an_old_copy);
}

#[test]
fn several_bad_tails_are_settled_once_all_were_heard() {
    (60..64).for_each(scenes::several_bad_tails);
}

#[test]
fn a_follower_that_lost_what_it_acked_is_sent_it_again_though_nobody_produces() {
    scenes::sent_again(7, false);
    scenes::sent_again(8, true);
}

#[test]
fn whoever_has_what_was_acked_is_elected_without_the_third() {
    for seed in [5, 6] {
        let mut room = Room::new(seed);
        room.flip_last(room.other, false);
        room.start(&[room.other, room.leader]);
        assert!(room.leads_within(5 * SECOND), "seed {seed}: its log reaches the end that counts");
        room.start(&[room.stopped]);
        room.cluster.check(&[room.partition]);
    }
}

#[test]
fn where_one_is_gone_for_good_the_operator_decides() {
    let mut room = Room::new(9);
    room.flip_last(room.other, true);
    let node = &mut room.cluster.world.nodes[room.other];
    node.accept_loss = vec![room.journal];
    room.start(&[room.other, room.stopped]);
    assert!(room.leads_within(5 * SECOND), "what may have been acked is given up");
    assert_eq!(room.settled(room.other), [Settled::Accepted]);
}

#[test]
fn an_entry_that_only_one_disk_had_is_told_to_be_nobodys() {
    let mut room = Room::running(10);
    // The leader alone writes it: nobody else hears of it.
    let (leader, others) = (room.leader, [room.other, room.stopped]);
    others.into_iter().for_each(|other| room.cluster.world.part(leader, other));
    assert!(room.cluster.produce_to(leader, room.partition));
    room.cluster.run_for(20 * MS);
    (0..3).for_each(|node| room.cluster.kill(node, true));
    room.flip_last(leader, true);
    others.into_iter().for_each(|other| room.cluster.world.heal(leader, other));
    room.start(&[0, 1, 2]);
    room.cluster.check(&[room.partition]);
    // The logs agree before it is written down what became of the doubt.
    room.cluster.run_for(SECOND);
    let settled = room.settled(leader);
    assert!(
        settled == [Settled::NoVoterHas] || settled == [Settled::ReplacedByLeader],
        "{settled:?}: it never was committed"
    );
}
