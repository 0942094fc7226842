//! The settings of transactions, Kafka's by meaning, and the bounds that Kafka has none for.

/// Transactional ids of one partition of `__transaction_state`. Some clients make one for each
/// checkpoint: what is finished is forgotten, oldest first, before a new one is refused. With 50
/// partitions half a million in all, some 400 bytes each.
pub const IDS_MAX: usize = 10_000;
/// Texts of ids and partitions of one partition of `__transaction_state`, about as much in memory.
pub const BYTES_MAX: usize = 8 << 20;
/// Partitions in one transaction: its record, with names of 249 bytes, fits one batch.
pub const PARTITIONS_MAX: usize = 10_000;
/// What a transactional id may be long: it is part of every record of it.
pub const ID_BYTES_MAX: usize = 8 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`.
    pub timeout_max_ms: i32,
    /// `transactional.id.expiration.ms`.
    pub id_expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub expiry_interval_ms: u64,
    /// `transaction.state.log.segment.bytes`: a partition's log is written again at its tail when
    /// it is above this and twice what lives.
    pub history_bytes_min: u64,
    /// See [`IDS_MAX`].
    pub ids_max: usize,
    /// See [`BYTES_MAX`].
    pub bytes_max: usize,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self {
            timeout_max_ms: 900_000,
            id_expiration_ms: 7 * 24 * 3_600_000,
            expiry_interval_ms: 3_600_000,
            history_bytes_min: 4 << 20,
            ids_max: IDS_MAX,
            bytes_max: BYTES_MAX,
        }
    }
}
