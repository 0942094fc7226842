//! Seeds that failed once, each named by what was wrong. A seed's story changes with the code;
//! what it found then is told by its name, and it costs milliseconds to run it again.

use tests::sim::soak::{name_seed_in_panics, run_named};

fn replay(seed: u64, nodes: usize) {
    name_seed_in_panics();
    let outcome = run_named(seed, nodes, false);
    assert!(outcome.operations >= 500, "seed {seed} did only {} operations", outcome.operations);
}

macro_rules! seeds {
    ($nodes:literal nodes; $($name:ident: $($seed:literal),+;)+) => {
        $(#[test]
        fn $name() {
            [$($seed),+].into_iter().for_each(|seed| replay(seed, $nodes));
        })+
    };
}

seeds! {
    1 nodes;
    a_stop_waits_for_recoveries_and_reads_under_way: 19, 294;
    an_index_that_cannot_be_read_back_is_written_again: 26;
    a_tail_that_cannot_be_read_ends_the_start: 28;
    an_index_block_that_rots_is_made_again_while_serving: 52, 54;
    the_highest_time_does_not_count_what_is_below_the_log_start: 60, 120, 189, 233;
    one_copy_of_a_journals_record_that_cannot_be_read_is_no_reason_to_end: 89;
    a_failed_sync_of_a_stops_checkpoint_ends_the_process: 49;
    a_failed_sync_of_a_prepared_segment_ends_the_process_at_once: 107;
    a_new_journals_names_are_synced_by_the_start_that_finds_them: 159;
    of_pipelined_first_batches_only_the_refused_one_goes_on: 207, 543, 994;
    no_room_for_an_index_that_is_made_again_is_no_reason_to_end: 74;
    a_journal_without_a_place_for_a_term_start_does_not_come_to_lead: 149, 196;
    a_producer_that_writes_after_a_clock_was_set_back_is_not_forgotten: 605, 640;
    a_clock_that_jumps_between_two_ticks_is_not_written_into_entries: 2897, 3236;
    damage_below_the_bound_is_not_cut_and_the_bound_outlives_what_told_it: 1360;
    no_checkpoint_covers_a_loss_that_nobody_accepted: 6004;
    a_name_that_is_changed_twice_is_not_kept_under_both: 430;
    an_entry_behind_a_segments_lost_last_one_is_no_damage: 1819;
    a_clock_that_jumps_while_journals_are_recovered_is_distrusted: 2012;
    a_new_journal_with_a_distrusted_clock_does_not_forget_its_producers: 395;
    a_clock_that_is_set_while_no_process_runs_tells_nobody_that_it_was: 2083;
    a_log_start_beyond_a_lost_entry_moves_the_next_offset_too: 3368;
    no_room_for_a_second_copy_of_the_nodes_record_is_no_reason_to_end: 3372;
}

seeds! {
    3 nodes;
    a_segment_is_not_sealed_while_a_cut_wipes_its_end: 934;
    what_a_dropped_partition_left_is_no_damage_of_the_one_opened_again: 242, 406;
    a_tail_in_doubt_beside_a_lost_disk_waits_for_the_operator: 1545, 2789;
    an_entry_that_two_of_three_lost_is_proven_by_the_bound_above_it: 496;
    a_leader_that_an_append_deposes_keeps_what_that_brought: 29, 39;
    a_late_append_of_an_older_term_stages_nothing: 15;
    segments_that_a_node_still_needs_are_kept_by_all: 18, 21, 53;
    a_segment_that_only_a_stop_covered_is_cut_to_its_entries: 99, 162;
    a_query_by_time_finds_what_the_leaders_disk_does_not_have_yet: 158;
    what_was_only_synced_is_not_taken_for_committed: 149;
    a_leader_whose_disk_lags_does_not_let_others_delete_what_it_lacks: 327;
    what_was_deleted_while_it_was_to_be_mended_is_not_written_again: 497;
    a_failed_sync_while_the_cluster_forms_ends_the_process_as_a_failed_write: 294;
    an_empty_replica_gets_the_start_of_the_meta_journal: 10;
    a_failed_write_of_a_new_nodes_record_ends_the_process: 165;
    members_that_came_with_a_checkpoint_are_heard_before_the_metadata_names_them: 146;
    who_has_the_entry_that_all_others_lost_need_not_know_it_committed: 1078;
    who_lost_an_entry_that_all_others_have_deleted_gets_the_start_of_the_log: 905;
    a_coordinator_that_was_deposed_by_one_that_has_ended_may_know_less: 717, 2636;
    a_segment_that_an_entry_is_read_from_is_not_deleted: 24;
    a_hard_state_proves_the_entry_that_its_commit_and_its_bound_name: 127;
}

seeds! {
    5 nodes;
    a_partition_that_was_just_added_goes_with_its_topic: 336, 426;
    a_replica_that_lost_all_its_entries_starts_and_is_repaired: 14;
    who_goes_on_behind_what_is_deleted_everywhere_keeps_that: 758, 772;
    entries_next_to_damage_are_given_to_those_who_can_prove_them: 22;
    a_lost_entry_that_is_asked_for_is_not_there: 31;
    what_was_cut_before_it_was_durable_is_not_acknowledged: 213;
    a_change_of_members_outlasts_a_crash_before_the_next_disk_is_lost: 9;
}
