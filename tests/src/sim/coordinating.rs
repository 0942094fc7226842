//! The coordinators of a simulated shard.

use engine::control::View;
use engine::coordinator::{Host, StateMachine, Vocabulary, host};
use engine::groups::{GroupConfig, Groups};
use engine::transactions::{TransactionConfig, TransactionalIds};
use std::collections::VecDeque;
use std::sync::Arc;

pub(super) type HostInput<M> = host::Input<<M as StateMachine>::Words>;
pub(super) type HostOutput<M> = host::Output<<M as StateMachine>::Words>;

/// A shard's host of one kind of coordinator, and what comes to it.
pub struct Coordinating<M: StateMachine> {
    pub(super) host: Host<M>,
    pub(super) inputs: VecDeque<HostInput<M>>,
    pub(super) is_due: bool,
    /// What it followed last: metadata, and the count of changes of leaders.
    pub(super) followed: (Arc<View>, u64),
}

/// Timers as short as a run; nothing expires, however a clock jumps.
fn groups_config() -> GroupConfig {
    GroupConfig {
        session_timeout_min_ms: 100,
        initial_rebalance_delay_ms: 30,
        offsets_retention_ms: i64::MAX,
        retention_check_interval_ms: 3_600_000,
        history_bytes_min: 8 << 10,
        ..GroupConfig::default()
    }
}

fn transactions_config() -> TransactionConfig {
    TransactionConfig {
        id_expiration_ms: i64::MAX,
        history_bytes_min: 8 << 10,
        ..TransactionConfig::default()
    }
}

impl<M: StateMachine> Coordinating<M> {
    fn new(config: <M::Words as Vocabulary>::Config) -> Self {
        Self {
            host: Host::new(config),
            inputs: VecDeque::new(),
            is_due: false,
            followed: (Arc::default(), 0),
        }
    }
}

impl Coordinating<Groups> {
    pub fn of_groups() -> Self {
        Self::new(groups_config())
    }
}

impl Coordinating<TransactionalIds> {
    pub fn of_transactions() -> Self {
        Self::new(transactions_config())
    }
}
