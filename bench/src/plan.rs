//! What a run is to do.

use crate::cluster::bootstrap::Bootstrap;
use crate::threads::{Proving, SinkMaker};
use crate::workload::Workload;

/// What to run.
pub struct Plan {
    pub command: &'static str,
    pub bootstrap: Bootstrap,
    pub workload: Workload,
    pub produce: bool,
    pub consume: bool,
    /// Consumers stop where the partitions ended when they began.
    pub to_the_end: bool,
    pub proving: Option<Proving>,
    pub sink: Option<SinkMaker>,
}
