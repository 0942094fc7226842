//! Names and checks what the engine reports of itself.

use super::Counts;
use crate::check::Model;
use engine::health::{Finding, Kind};
use engine::peer::Space;
use engine::port::{Cutting, DamageKind, Event, RecoveryReport, Rewrote, Settled};
use engine::raft::Change;

pub fn check(event: &Event, model: &mut Model, counts: &mut Counts) {
    match event {
        Event::Recovered(report) => recovered(report, model, counts),
        Event::Damaged(damage) => {
            model.damage.reported(damage);
            counts.add("damage found while serving");
        }
        Event::DigestAgrees { .. } => counts.add("digest agrees"),
        Event::DigestDiffers { .. } => panic!("replicas are not the same: {event:?}"),
        Event::Repaired { .. } => counts.add("damage repaired"),
        Event::Leading { journal, term } => {
            let newest = model.newest_terms.entry(*journal).or_default();
            *newest = (*newest).max(*term);
            counts.add("leadership begun");
        }
        Event::LeadsNoMore { .. } => counts.add("leadership ended"),
        Event::HealthBegan(findings) => findings.iter().for_each(|finding| counts.add(begun(finding))),
        Event::HealthEnded(findings) => counts.add_many("health: over", findings.len() as u64),
        Event::SegmentRolled { .. } => counts.add("segment rolled"),
        Event::SegmentSealed { .. } => counts.add("segment sealed"),
        Event::IndexRebuilt { .. } => counts.add("index made again while serving"),
        Event::SegmentDeleted { .. } => counts.add("segment deleted"),
        Event::NotOpened { fetches: true, .. } => counts.add("journal fetches the checkpoint that it lacks"),
        Event::NotOpened { .. } => counts.add("journal cannot be opened"),
        Event::CheckpointBad { .. } => counts.add("bad checkpoint met before a deletion"),
        Event::Rewriting { what, .. } => rewrote(what, model, counts),
        Event::CheckpointWritten { .. } => counts.add("checkpoint written"),
        Event::DiskFull { .. } => counts.add("disk full"),
        Event::FollowerSpace { space: Space::Full, .. } => counts.add("follower without room"),
        Event::FollowerSpace { .. } => counts.add("follower says how much room it has"),
        Event::HandsOver { .. } => counts.add("full leader handed over"),
        Event::DiskRoom { .. } => counts.add("disk has room again"),
        Event::ClockDistrusted { .. } => counts.add("clock distrusted"),
        Event::LogCut { .. } => counts.add("diverged tail cut"),
        Event::DoubtMoved { raised: true, .. } => counts.add("perhaps acked: end raised"),
        Event::DoubtMoved { raised: false, .. } => counts.add("perhaps acked: end lowered"),
        Event::DoubtSettled { settled, .. } => counts.add(match settled {
            Settled::Healed => "perhaps acked: healed",
            Settled::ReplacedByLeader => "perhaps acked: replaced by a leader",
            Settled::NoVoterHas => "perhaps acked: no voter has it",
            Settled::Accepted => "perhaps acked: loss accepted",
        }),
        Event::MessageRefused { .. } => counts.add("message from a peer refused"),
        Event::ReplicaLost { .. } => counts.add("replica lost what it promised"),
        Event::SetAside { .. } => counts.add("what was left is set aside"),
        Event::MadeAgain { .. } => counts.add("unregistered made again"),
        Event::Renewed { .. } => counts.add("amnesia of one journal healed"),
        Event::OldCopy { .. } => counts.add("told that it is an old copy"),
        Event::Quarantined { .. } => counts.add("replica quarantined"),
        Event::Forming { .. } => counts.add("formation waits"),
        Event::FormationRefused { .. } => counts.add("formation refused"),
        Event::MembersChanged { change, .. } => counts.add(match change {
            Change::AddLearner(_) => "learner added",
            Change::RemoveLearner(_) => "learner lost again",
            Change::Swap { .. } => "learner swapped in",
            Change::Grow { .. } => "two learners became voters",
            Change::Shrink { .. } => "two voters left",
            Change::Leave => "members changed",
        }),
        Event::Installing { .. } => counts.add("install begun"),
        Event::Installed { .. } => counts.add("checkpoint installed"),
        Event::InstallTooLong { .. } => panic!("no world has so little memory: {event:?}"),
        Event::InstallRefused { .. } => panic!("a checkpoint from a leader was not good: {event:?}"),
        Event::NothingToInstall { .. } => counts.add("nothing to install"),
        Event::Rejoining { .. } => counts.add("asked to rejoin"),
        Event::Rejoined { .. } => counts.add("rejoined with an empty disk"),
        Event::Formed { .. } => counts.add("cluster formed"),
        Event::ClockTrusted => counts.add("clock trusted again"),
    }
}

fn rewrote(what: &Rewrote, model: &mut Model, counts: &mut Counts) {
    let name = match what {
        Rewrote::Made { .. } => "run made",
        Rewrote::Read { .. } => "run read",
        Rewrote::Lost { .. } => "run voided",
        Rewrote::Deleted { .. } => "run deleted",
        Rewrote::Damaged { .. } => "run damaged",
        Rewrote::Failed { .. } => "rewriting failed",
        Rewrote::Fetching { from: 0, .. } => "run fetched from its begin",
        Rewrote::Fetching { .. } => "run fetched on from what was here",
        Rewrote::Fetched { .. } => "run fetched",
        Rewrote::PieceBad { .. } => "run: bad piece",
        Rewrote::Mended { .. } => "run mended",
    };
    counts.add(name);
    model.compaction.switches += u64::from(matches!(what, Rewrote::Read { .. }));
    if let Rewrote::Made { counts: pass, .. } = what {
        assert_eq!((pass.undecodable, pass.keyless), (0, 0), "nobody wrote such records");
        for (what, times) in [
            ("pass: record superseded", pass.superseded),
            ("pass: tombstone dropped", pass.tombstones),
            ("pass: aborted record dropped", pass.aborted),
            ("pass: marker dropped", pass.markers),
            ("pass: map full", pass.maps_full),
            ("pass: batch kept", pass.batches_kept),
            ("pass: batch written again", pass.batches_again),
            ("pass: batch gone", pass.batches_gone),
            ("pass: delete horizon set", pass.horizons_set),
        ] {
            counts.add_many(what, times);
        }
    }
}

fn begun(finding: &Finding) -> &'static str {
    match finding.what.kind() {
        Kind::NodeDown => "health: node down",
        Kind::NoQuorum => "health: no quorum",
        Kind::ReplicaNotMember => "health: replica not a member",
        Kind::ReplicaQuarantined => "health: replica quarantined",
        Kind::ReplicaInDoubt => "health: replica in doubt",
        Kind::ReplicaDamaged => "health: replica damaged",
        Kind::ReplicaFull => "health: replica full",
        Kind::ReplicaBehind => "health: replica behind",
        Kind::ReplicaLacksRuns => "health: replica lacks runs",
        Kind::ReplicaCatchingUp => "health: replica catching up",
        Kind::DiskNearlyFull => "health: disk nearly full",
        Kind::StableOffsetStuck => "health: stable offset stuck",
        Kind::NotCompacted => "health: not compacted",
        Kind::ClockDistrusted => "health: clock distrusted",
    }
}

fn recovered(report: &RecoveryReport, model: &mut Model, counts: &mut Counts) {
    counts.add(if report.created { "journal made" } else { "journal recovered" });
    if let Some(torn) = &report.torn {
        counts.add("torn tail cut");
        counts.add(match torn.why {
            Cutting::ProvenTorn => "bad tail proven torn",
            Cutting::PerhapsAcked => "bad tail perhaps acked",
            Cutting::Unsynced => "bad tail of a lone node",
        });
    }
    if report.checkpoint.0 > 0 {
        counts.add("recovered from a checkpoint");
    }
    for damage in &report.damage {
        model.damage.reported(damage);
        counts.add(match damage.kind {
            DamageKind::Body => "damage of a body reported",
            DamageKind::Head => "damage of a head reported",
        });
    }
    counts.add_many("index rebuilt", u64::from(report.indexes_rebuilt));
    counts.add_many("checkpoint passed over", u64::from(report.checkpoints_skipped));
    counts.add_many("bad copy of a journal's record", u64::from(report.meta_bad_copies));
    counts.add_many("bad copy of the hard state", u64::from(report.hard_state_bad_copies));
    assert!(
        !report.amnesia || model.damage.hard_state_lost,
        "amnesia, but the hard state was left alone: {report:?}"
    );
}
