//! What the threads of the process share: how far the node is, whether it shall stop, what is wrong,
//! and each shard's newest page of figures. Nothing here is on the path of a record.

use crate::observe::may_stop::KnownJournals;
use crate::observe::stats::ShardPage;
use engine::health::{Finding, Subject, merge};
use engine::ids::ShardId;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How far the node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Recovery goes on; clients are not served.
    Starting,
    /// Every shard answers clients.
    Serving,
    /// What is in flight is being finished.
    Stopping,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Stopping => "stopping",
        }
    }
}

/// Shared by the shards, the signal thread and the HTTP thread.
#[derive(Debug)]
pub struct Status {
    ready_shards: AtomicUsize,
    stop: AtomicBool,
    pages: Vec<Mutex<ShardPage>>,
    /// By shard.
    findings: Vec<Mutex<Vec<Finding>>>,
    /// What the first shard knows of every journal.
    standing: Mutex<KnownJournals>,
    /// Until when this node's certificate counts, seconds since 1970; 0 where there is none.
    certificate_end_s: AtomicI64,
}

impl Status {
    pub fn new(shards: u16) -> Arc<Self> {
        assert!(shards > 0);
        let pages = (0..shards).map(|_| Mutex::default()).collect();
        let findings = (0..shards).map(|_| Mutex::default()).collect();
        Arc::new(Self {
            ready_shards: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            pages,
            findings,
            standing: Mutex::default(),
            certificate_end_s: AtomicI64::new(0),
        })
    }

    pub fn set_certificate_end(&self, end_s: i64) {
        self.certificate_end_s.store(end_s, Ordering::Relaxed);
    }

    /// Until when this node's certificate counts, seconds since 1970.
    pub fn certificate_end_s(&self) -> Option<i64> {
        Some(self.certificate_end_s.load(Ordering::Relaxed)).filter(|end_s| *end_s != 0)
    }

    pub fn phase(&self) -> Phase {
        if self.stopping() {
            return Phase::Stopping;
        }
        let all_ready = self.ready_shards.load(Ordering::Acquire) == self.pages.len();
        if all_ready { Phase::Serving } else { Phase::Starting }
    }

    /// Called once by each shard, when its recovery is over and its listener is open.
    pub fn shard_ready(&self) {
        let before = self.ready_shards.fetch_add(1, Ordering::AcqRel);
        assert!(before < self.pages.len(), "{} shards and one more is ready", self.pages.len());
    }

    /// Asks every shard to stop; they look at their next tick.
    pub fn request_stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Replaces a shard's page. The lock is held for a copy only, and the other side is the
    /// scraper: when it has it just now, this page is left out and the next one is a second away.
    pub fn publish(&self, shard: ShardId, page: ShardPage) {
        if let Ok(mut slot) = self.pages[usize::from(shard.0)].try_lock() {
            *slot = page;
        }
    }

    /// All that a shard finds wrong now. Whoever reads holds the lock for a copy only, and the list
    /// changes seldom.
    pub fn publish_findings(&self, shard: ShardId, findings: Vec<Finding>) {
        *self.findings[usize::from(shard.0)].lock().unwrap_or_else(PoisonError::into_inner) = findings;
    }

    /// What is known here of every journal of the cluster.
    pub fn publish_standing(&self, standing: KnownJournals) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    pub fn standing(&self) -> KnownJournals {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All that is wrong as far as this node knows.
    pub fn findings(&self) -> Vec<Finding> {
        let of_shard =
            |findings: &Mutex<Vec<Finding>>| findings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        merge(self.findings.iter().flat_map(of_shard), Subject::of)
    }

    /// Whether clients are well served here: every shard answers, and what this node needs has a
    /// quorum.
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Serving && !self.findings().iter().any(|finding| finding.unready)
    }

    /// The newest page of every shard, by shard.
    pub fn pages(&self) -> Vec<ShardPage> {
        self.pages.iter().map(|page| page.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::health::{Topics, What};
    use engine::ids::JournalId;

    #[test]
    fn a_node_serves_when_its_last_shard_is_ready_and_until_it_is_asked_to_stop() {
        let status = Status::new(2);
        status.shard_ready();
        assert_eq!(status.phase(), Phase::Starting);
        status.shard_ready();
        assert_eq!(status.phase(), Phase::Serving);
        status.request_stop();
        assert_eq!(status.phase(), Phase::Stopping);
    }

    #[test]
    fn a_node_without_quorum_for_what_it_needs_is_not_ready() {
        let status = Status::new(2);
        (0..2).for_each(|_| status.shard_ready());
        assert!(status.is_ready());
        let lost = |unready| Finding {
            what: What::NoQuorum { heard: 1, replicas: 3 },
            node: None,
            journal: Some(JournalId(4)),
            since_ms: 1,
            unready,
            topics: Topics::default(),
        };
        status.publish_findings(ShardId(1), vec![lost(false)]);
        assert!(status.is_ready(), "another node's affair");
        status.publish_findings(ShardId(1), vec![lost(true)]);
        assert!(!status.is_ready());
        assert_eq!(status.findings(), [lost(true)]);
        status.publish_findings(ShardId(1), Vec::new());
        assert!(status.is_ready());
    }

    #[test]
    fn a_page_is_replaced_by_a_newer_one() {
        let status = Status::new(1);
        status.publish(ShardId(0), ShardPage { received_bytes: 7, ..ShardPage::default() });
        assert_eq!(status.pages()[0].received_bytes, 7);
    }
}
