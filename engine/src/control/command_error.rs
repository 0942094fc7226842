//! Why a command is refused.

/// Why a command was refused, each with its Kafka error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("topic '{0}' already exists")]
    TopicExists(String),
    #[error("no such topic")]
    UnknownTopic,
    #[error("{0}")]
    InvalidTopicName(String),
    #[error("{0}")]
    InvalidPartitions(String),
    #[error("{0}")]
    InvalidReplicationFactor(String),
    #[error("{0}")]
    InvalidPlace(String),
    #[error("{0}")]
    InvalidConfig(String),
    #[error("{0}")]
    InvalidRequest(String),
    #[error("{0}")]
    LimitReached(String),
    #[error("{0}")]
    UnacceptableCredential(String),
    #[error("Attempt to delete a user credential that does not exist")]
    UnknownCredential,
}
