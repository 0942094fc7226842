//! Why a request of a group member gets no for an answer. Each is one of Kafka's errors.

use crate::coordinator::AppendError;

/// Named as Kafka names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GroupError {
    #[error("offset metadata is above offset.metadata.max.bytes")]
    OffsetMetadataTooLarge,
    #[error("the coordinator reads its groups back")]
    CoordinatorLoadInProgress,
    #[error("the coordinator cannot write now")]
    CoordinatorNotAvailable,
    #[error("another broker coordinates this group")]
    NotCoordinator,
    #[error("the member's generation is not the group's")]
    IllegalGeneration,
    #[error("no protocol that all members have, or another type of group")]
    InconsistentGroupProtocol,
    #[error("an invalid group id")]
    InvalidGroupId,
    #[error("no such member")]
    UnknownMemberId,
    #[error("the session timeout is out of bounds")]
    InvalidSessionTimeout,
    #[error("the group rebalances: join again")]
    RebalanceInProgress,
    #[error("the commit is larger than a batch may be")]
    InvalidCommitOffsetSize,
    #[error("the group has members")]
    NonEmptyGroup,
    #[error("no such group")]
    GroupIdNotFound,
    #[error("join again with the member id given here")]
    MemberIdRequired,
    #[error("the group has as many members as it may have")]
    GroupMaxSizeReached,
    #[error("another member has this group instance id")]
    FencedInstanceId,
    #[error("a commit of this partition is on its way")]
    UnstableOffsetCommit,
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    #[error("another producer has taken over the transaction")]
    ProducerFenced,
    #[error("the group's metadata is larger than it may be")]
    GroupTooLarge,
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("the member's epoch is not the one it was told: it must give up all and join again")]
    FencedMemberEpoch,
    #[error("the member's epoch is an older one: it learns the new one with its next heartbeat")]
    StaleMemberEpoch,
    #[error("another member has this instance id, and has not left")]
    UnreleasedInstanceId,
    #[error("no such assignor: there are uniform and range")]
    UnsupportedAssignor,
    #[error("not a regular expression of RE2's syntax, too large a one, or one too many for the group")]
    InvalidRegularExpression,
    #[error("a member of the consumer protocol needs a newer version of this request")]
    UnsupportedVersion,
}

impl AppendError {
    pub fn group_error(self, too_large: GroupError) -> GroupError {
        match self {
            AppendError::NotLeader => GroupError::NotCoordinator,
            AppendError::TooLarge => too_large,
            AppendError::Fenced => GroupError::ProducerFenced,
            AppendError::Unavailable => GroupError::CoordinatorNotAvailable,
        }
    }
}
