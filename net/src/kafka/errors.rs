//! Kafka's error codes, and which of them says what the engine refused.

use engine::batch::validate::BatchError;
use engine::control::{CommandError, ControlRefusal};
use engine::groups::GroupError;
use engine::port::Refusal;
use engine::transactions::TransactionError;

/// The codes that this broker gives, by Kafka's names.
pub mod code {
    pub const NONE: i16 = 0;
    pub const UNKNOWN_SERVER_ERROR: i16 = -1;
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub const CORRUPT_MESSAGE: i16 = 2;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const LEADER_NOT_AVAILABLE: i16 = 5;
    pub const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    pub const REQUEST_TIMED_OUT: i16 = 7;
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    pub const OFFSET_METADATA_TOO_LARGE: i16 = 12;
    pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub const NOT_COORDINATOR: i16 = 16;
    pub const INVALID_TOPIC_EXCEPTION: i16 = 17;
    pub const NOT_ENOUGH_REPLICAS: i16 = 19;
    pub const NOT_ENOUGH_REPLICAS_AFTER_APPEND: i16 = 20;
    pub const INVALID_REQUIRED_ACKS: i16 = 21;
    pub const ILLEGAL_GENERATION: i16 = 22;
    pub const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
    pub const INVALID_GROUP_ID: i16 = 24;
    pub const UNKNOWN_MEMBER_ID: i16 = 25;
    pub const INVALID_SESSION_TIMEOUT: i16 = 26;
    pub const REBALANCE_IN_PROGRESS: i16 = 27;
    pub const INVALID_COMMIT_OFFSET_SIZE: i16 = 28;
    pub const INVALID_TIMESTAMP: i16 = 32;
    pub const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    pub const GROUP_AUTHORIZATION_FAILED: i16 = 30;
    pub const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
    pub const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
    pub const ILLEGAL_SASL_STATE: i16 = 34;
    pub const UNSUPPORTED_VERSION: i16 = 35;
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub const INVALID_PARTITIONS: i16 = 37;
    pub const INVALID_REPLICATION_FACTOR: i16 = 38;
    pub const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
    pub const INVALID_CONFIG: i16 = 40;
    pub const NOT_CONTROLLER: i16 = 41;
    pub const INVALID_REQUEST: i16 = 42;
    pub const POLICY_VIOLATION: i16 = 44;
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    pub const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
    pub const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub const INVALID_TXN_STATE: i16 = 48;
    pub const CONCURRENT_TRANSACTIONS: i16 = 51;
    pub const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
    pub const INVALID_TRANSACTION_TIMEOUT: i16 = 50;
    pub const TRANSACTION_COORDINATOR_FENCED: i16 = 52;
    pub const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
    pub const SECURITY_DISABLED: i16 = 54;
    pub const OPERATION_NOT_ATTEMPTED: i16 = 55;
    pub const KAFKA_STORAGE_ERROR: i16 = 56;
    pub const LOG_DIR_NOT_FOUND: i16 = 57;
    pub const SASL_AUTHENTICATION_FAILED: i16 = 58;
    pub const DELEGATION_TOKEN_AUTHORIZATION_FAILED: i16 = 65;
    pub const NON_EMPTY_GROUP: i16 = 68;
    pub const GROUP_ID_NOT_FOUND: i16 = 69;
    pub const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
    pub const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
    pub const FETCH_SESSION_TOPIC_ID_ERROR: i16 = 106;
    pub const LISTENER_NOT_FOUND: i16 = 72;
    pub const TOPIC_DELETION_DISABLED: i16 = 73;
    pub const FENCED_LEADER_EPOCH: i16 = 74;
    pub const UNKNOWN_LEADER_EPOCH: i16 = 75;
    pub const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
    pub const OFFSET_NOT_AVAILABLE: i16 = 78;
    pub const PREFERRED_LEADER_NOT_AVAILABLE: i16 = 80;
    pub const ELIGIBLE_LEADERS_NOT_AVAILABLE: i16 = 83;
    pub const ELECTION_NOT_NEEDED: i16 = 84;
    pub const MEMBER_ID_REQUIRED: i16 = 79;
    pub const GROUP_MAX_SIZE_REACHED: i16 = 81;
    pub const FENCED_INSTANCE_ID: i16 = 82;
    pub const GROUP_SUBSCRIBED_TO_TOPIC: i16 = 86;
    pub const NO_REASSIGNMENT_IN_PROGRESS: i16 = 85;
    pub const INVALID_RECORD: i16 = 87;
    pub const UNSTABLE_OFFSET_COMMIT: i16 = 88;
    pub const PRODUCER_FENCED: i16 = 90;
    pub const RESOURCE_NOT_FOUND: i16 = 91;
    pub const DUPLICATE_RESOURCE: i16 = 92;
    pub const UNACCEPTABLE_CREDENTIAL: i16 = 93;
    pub const UNKNOWN_TOPIC_ID: i16 = 100;
    pub const INCONSISTENT_CLUSTER_ID: i16 = 104;
    pub const DUPLICATE_VOTER: i16 = 126;
    pub const INVALID_REGULAR_EXPRESSION: i16 = 128;
    pub const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
    pub const FENCED_MEMBER_EPOCH: i16 = 110;
    pub const UNRELEASED_INSTANCE_ID: i16 = 111;
    pub const UNSUPPORTED_ASSIGNOR: i16 = 112;
    pub const STALE_MEMBER_EPOCH: i16 = 113;
    pub const TRANSACTION_ABORTABLE: i16 = 120;
    pub const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;
    pub const MISMATCHED_ENDPOINT_TYPE: i16 = 114;
}

/// The code of a batch that may not be stored. CORRUPT_MESSAGE makes clients send it again, since
/// it can have happened on the way; whatever is wrong although the CRC is right is not that.
fn batch_code(error: BatchError) -> i16 {
    match error {
        BatchError::Truncated { .. }
        | BatchError::UnknownFormat(_)
        | BatchError::Length(_)
        | BatchError::Crc => code::CORRUPT_MESSAGE,
        BatchError::TooLarge { .. } | BatchError::TooLargeRepacked { .. } => code::MESSAGE_TOO_LARGE,
        BatchError::TimestampType | BatchError::Timestamp { .. } | BatchError::Times(_) => {
            code::INVALID_TIMESTAMP
        }
        BatchError::Empty
        | BatchError::OldFormat(_)
        | BatchError::MoreThanOne(_)
        | BatchError::BaseOffset(_)
        | BatchError::Count { .. }
        | BatchError::Producer { .. }
        | BatchError::Control
        | BatchError::Transactional
        | BatchError::Unpack(_)
        | BatchError::Records(_) => code::INVALID_RECORD,
    }
}

/// The code of a refusal by the engine.
pub fn refusal_code(refusal: Refusal) -> i16 {
    match refusal {
        Refusal::NotLeader => code::NOT_LEADER_OR_FOLLOWER,
        Refusal::NotReady => code::LEADER_NOT_AVAILABLE,
        Refusal::UnknownPartition => code::UNKNOWN_TOPIC_OR_PARTITION,
        Refusal::FencedEpoch => code::FENCED_LEADER_EPOCH,
        Refusal::UnknownEpoch => code::UNKNOWN_LEADER_EPOCH,
        Refusal::OffsetOutOfRange => code::OFFSET_OUT_OF_RANGE,
        Refusal::OffsetNotAvailable => code::OFFSET_NOT_AVAILABLE,
        Refusal::Batch(error) => batch_code(error),
        Refusal::OutOfOrderSequence => code::OUT_OF_ORDER_SEQUENCE_NUMBER,
        Refusal::InvalidProducerEpoch => code::INVALID_PRODUCER_EPOCH,
        Refusal::InvalidTransaction => code::INVALID_TXN_STATE,
        Refusal::TooManyTransactions => code::CONCURRENT_TRANSACTIONS,
        Refusal::DuplicateSequence => code::DUPLICATE_SEQUENCE_NUMBER,
        Refusal::Storage => code::KAFKA_STORAGE_ERROR,
        Refusal::NotEnoughReplicas => code::NOT_ENOUGH_REPLICAS,
        Refusal::NotEnoughReplicasAfterAppend => code::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        Refusal::TimedOut => code::REQUEST_TIMED_OUT,
        Refusal::PolicyViolation => code::POLICY_VIOLATION,
        // Clients look for the new leader, which is this node after its restart.
        Refusal::Stopping => code::NOT_LEADER_OR_FOLLOWER,
    }
}

/// The code of a coordinator's refusal.
pub fn group_code(error: GroupError) -> i16 {
    match error {
        GroupError::OffsetMetadataTooLarge => code::OFFSET_METADATA_TOO_LARGE,
        GroupError::CoordinatorLoadInProgress => code::COORDINATOR_LOAD_IN_PROGRESS,
        GroupError::CoordinatorNotAvailable => code::COORDINATOR_NOT_AVAILABLE,
        GroupError::NotCoordinator => code::NOT_COORDINATOR,
        GroupError::IllegalGeneration => code::ILLEGAL_GENERATION,
        GroupError::InconsistentGroupProtocol => code::INCONSISTENT_GROUP_PROTOCOL,
        GroupError::InvalidGroupId => code::INVALID_GROUP_ID,
        GroupError::UnknownMemberId => code::UNKNOWN_MEMBER_ID,
        GroupError::InvalidSessionTimeout => code::INVALID_SESSION_TIMEOUT,
        GroupError::RebalanceInProgress => code::REBALANCE_IN_PROGRESS,
        GroupError::InvalidCommitOffsetSize => code::INVALID_COMMIT_OFFSET_SIZE,
        GroupError::NonEmptyGroup => code::NON_EMPTY_GROUP,
        GroupError::GroupIdNotFound => code::GROUP_ID_NOT_FOUND,
        GroupError::MemberIdRequired => code::MEMBER_ID_REQUIRED,
        GroupError::GroupMaxSizeReached => code::GROUP_MAX_SIZE_REACHED,
        GroupError::FencedInstanceId => code::FENCED_INSTANCE_ID,
        GroupError::UnstableOffsetCommit => code::UNSTABLE_OFFSET_COMMIT,
        GroupError::GroupSubscribedToTopic => code::GROUP_SUBSCRIBED_TO_TOPIC,
        GroupError::ProducerFenced => code::INVALID_PRODUCER_EPOCH,
        GroupError::InvalidRequest(_) => code::INVALID_REQUEST,
        GroupError::FencedMemberEpoch => code::FENCED_MEMBER_EPOCH,
        GroupError::StaleMemberEpoch => code::STALE_MEMBER_EPOCH,
        GroupError::UnreleasedInstanceId => code::UNRELEASED_INSTANCE_ID,
        GroupError::UnsupportedAssignor => code::UNSUPPORTED_ASSIGNOR,
        GroupError::InvalidRegularExpression => code::INVALID_REGULAR_EXPRESSION,
        GroupError::UnsupportedVersion => code::UNSUPPORTED_VERSION,
        // As Kafka says of a group that does not fit a batch.
        GroupError::GroupTooLarge => code::UNKNOWN_SERVER_ERROR,
    }
}

/// The code of a refusal by a coordinator of transactions. Clients before PRODUCER_FENCED know that as
/// INVALID_PRODUCER_EPOCH.
pub fn transaction_code(error: TransactionError, knows_fenced: bool) -> i16 {
    match error {
        TransactionError::CoordinatorLoadInProgress => code::COORDINATOR_LOAD_IN_PROGRESS,
        TransactionError::CoordinatorNotAvailable => code::COORDINATOR_NOT_AVAILABLE,
        TransactionError::NotCoordinator => code::NOT_COORDINATOR,
        TransactionError::InvalidRequest => code::INVALID_REQUEST,
        TransactionError::InvalidTransactionTimeout => code::INVALID_TRANSACTION_TIMEOUT,
        TransactionError::ConcurrentTransactions => code::CONCURRENT_TRANSACTIONS,
        TransactionError::InvalidProducerIdMapping => code::INVALID_PRODUCER_ID_MAPPING,
        TransactionError::ProducerFenced if knows_fenced => code::PRODUCER_FENCED,
        TransactionError::ProducerFenced => code::INVALID_PRODUCER_EPOCH,
        TransactionError::InvalidTxnState => code::INVALID_TXN_STATE,
        TransactionError::TransactionAbortable => code::TRANSACTION_ABORTABLE,
        TransactionError::TransactionalIdNotFound => code::TRANSACTIONAL_ID_NOT_FOUND,
        // Kafka has none for it; one that can be tried again would be tried for ever.
        TransactionError::TooMany => code::POLICY_VIOLATION,
    }
}

/// The code of a result.
pub fn group_result_code(result: Result<(), GroupError>) -> i16 {
    result.err().map_or(code::NONE, group_code)
}

/// The code and the text of a command that was not carried out.
pub fn control_error(refusal: &ControlRefusal) -> (i16, String) {
    match refusal {
        ControlRefusal::Command(error) => (command_code(error), error.to_string()),
        ControlRefusal::NotController => (code::NOT_CONTROLLER, "this is not the controller".to_owned()),
        ControlRefusal::Storage => {
            (code::KAFKA_STORAGE_ERROR, "the metadata cannot be written now".to_owned())
        }
        ControlRefusal::TimedOut => {
            (code::REQUEST_TIMED_OUT, "not carried out in time; it still may be".to_owned())
        }
    }
}

fn command_code(error: &CommandError) -> i16 {
    match error {
        CommandError::TopicExists(_) => code::TOPIC_ALREADY_EXISTS,
        CommandError::UnknownTopic => code::UNKNOWN_TOPIC_OR_PARTITION,
        CommandError::InvalidTopicName(_) => code::INVALID_TOPIC_EXCEPTION,
        CommandError::InvalidPartitions(_) => code::INVALID_PARTITIONS,
        CommandError::InvalidReplicationFactor(_) => code::INVALID_REPLICATION_FACTOR,
        CommandError::InvalidPlace(_) => code::INVALID_REPLICA_ASSIGNMENT,
        CommandError::InvalidConfig(_) => code::INVALID_CONFIG,
        CommandError::InvalidRequest(_) => code::INVALID_REQUEST,
        CommandError::LimitReached(_) => code::POLICY_VIOLATION,
        CommandError::UnacceptableCredential(_) => code::UNACCEPTABLE_CREDENTIAL,
        CommandError::UnknownCredential => code::RESOURCE_NOT_FOUND,
    }
}
