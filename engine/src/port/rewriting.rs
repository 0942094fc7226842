//! What is told of compaction: how far a journal is, and why nothing is rewritten.

/// Why no run is made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum NotRewritten {
    /// Its topics were made without compaction.
    OtherKind = 1,
    /// `--rewrite-bytes-per-second 0`.
    Off = 2,
    /// A pass is under way.
    UnderWay = 3,
    /// A run was made, and is not on a majority yet.
    RunSpreads = 4,
    /// The clock jumped.
    Clock = 5,
    /// The disk is full.
    Full = 6,
    /// A run is damaged, or is not here.
    BadRun = 7,
    /// No segment was filled since the last pass.
    NoFullSegment = 8,
    /// The oldest full segment has what is not decided, or younger than `min.compaction.lag.ms`.
    HeldBack = 9,
    /// `min.cleanable.dirty.ratio` is not exceeded.
    BelowRatio = 10,
}

impl NotRewritten {
    pub const ALL: [Self; 10] = [
        Self::OtherKind,
        Self::Off,
        Self::UnderWay,
        Self::RunSpreads,
        Self::Clock,
        Self::Full,
        Self::BadRun,
        Self::NoFullSegment,
        Self::HeldBack,
        Self::BelowRatio,
    ];

    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|why| *why as u8 == number)
    }

    /// As metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OtherKind => "other_kind",
            Self::Off => "off",
            Self::UnderWay => "under_way",
            Self::RunSpreads => "run_spreads",
            Self::Clock => "clock",
            Self::Full => "full",
            Self::BadRun => "bad_run",
            Self::NoFullSegment => "no_full_segment",
            Self::HeldBack => "held_back",
            Self::BelowRatio => "below_ratio",
        }
    }

    /// As people are told.
    pub fn text(self) -> &'static str {
        match self {
            Self::OtherKind => "not compacted: the topic was made without it",
            Self::Off => "off: --rewrite-bytes-per-second is 0",
            Self::UnderWay => "a pass is under way",
            Self::RunSpreads => "a run is being copied to other nodes",
            Self::Clock => "the clock jumped: nothing is compacted until it is trusted again",
            Self::Full => "the disk is full",
            Self::BadRun => "a run is damaged or not here",
            Self::NoFullSegment => "no segment was filled since",
            Self::HeldBack => {
                "the oldest full segment has an open transaction, or is younger than min.compaction.lag.ms"
            }
            Self::BelowRatio => "min.cleanable.dirty.ratio is not exceeded",
        }
    }
}

/// What compaction did with a journal, and is about to, as its leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewriteStatus {
    /// What it was when it was looked last: batches that a pass left, and those that came since into full segments.
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
    /// Of the run that is read.
    pub run_bytes: u64,
    /// Passes that this process made as leader, and what went into them and came out.
    pub passes: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    /// When the last of them ended, milliseconds since 1970; 0 before.
    pub last_ms: i64,
    pub why_not: NotRewritten,
}

impl RewriteStatus {
    /// The share of what a pass would read that is new, in millionths.
    pub fn dirty_ppm(&self) -> u32 {
        let bytes = u128::from(self.clean_bytes) + u128::from(self.dirty_bytes);
        let ppm = u128::from(self.dirty_bytes) * 1_000_000 / bytes.max(1);
        assert!(ppm <= 1_000_000, "{} of {bytes} bytes", self.dirty_bytes);
        ppm as u32
    }

    /// What the files of inputs took and the runs do not.
    pub fn freed_bytes(&self) -> u64 {
        self.input_bytes.saturating_sub(self.output_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_names_and_numbers_of_their_own() {
        for (at, why) in NotRewritten::ALL.into_iter().enumerate() {
            assert_eq!(NotRewritten::of(why as u8), Some(why));
            let earlier = &NotRewritten::ALL[..at];
            assert!(earlier.iter().all(|other| other.name() != why.name() && other.text() != why.text()));
        }
        assert_eq!(NotRewritten::of(0), None);
    }

    #[test]
    fn a_ratio_is_of_what_a_pass_would_read() {
        let why_not = NotRewritten::BelowRatio;
        let mut status = RewriteStatus {
            clean_bytes: 0,
            dirty_bytes: 0,
            run_bytes: 0,
            passes: 2,
            input_bytes: 70,
            output_bytes: 30,
            last_ms: 5,
            why_not,
        };
        assert_eq!((status.dirty_ppm(), status.freed_bytes()), (0, 40));
        (status.clean_bytes, status.dirty_bytes) = (75, 25);
        assert_eq!(status.dirty_ppm(), 250_000);
        (status.clean_bytes, status.dirty_bytes) = (0, u64::MAX);
        assert_eq!(status.dirty_ppm(), 1_000_000);
    }
}
