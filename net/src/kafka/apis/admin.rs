//! What the admin APIs share: a request becomes one command or failure per thing named, and the
//! commands go to the meta journal together.

use crate::kafka::codec::wire::StrBytes;
use crate::kafka::context::Context;
use crate::kafka::errors::{code, control_error};
use crate::kafka::listener::Listener;
use crate::shard::pace::Pace;
use engine::control::command::Place;
use engine::control::{Command, CommandError, ControlRefusal, Outcome, View, by_hand};
use std::collections::BTreeSet;

/// An error code of Kafka's, with words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: i16,
    pub message: String,
}

impl Failure {
    pub fn new(code: i16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// INVALID_REQUEST.
    pub fn request(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_REQUEST, message)
    }
}

impl From<ControlRefusal> for Failure {
    fn from(refusal: ControlRefusal) -> Self {
        let (code, message) = control_error(&refusal);
        Self { code, message }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        ControlRefusal::Command(error).into()
    }
}

/// What the answer says of a success or a failure.
pub fn error_fields<T>(result: &Result<T, Failure>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(_) => (code::NONE, None),
        Err(failure) => (failure.code, Some(failure.message.as_str().into())),
    }
}

/// Carries out the commands, all at once, so that they share an entry and its sync; the results
/// are in the same order. Failures stay as they are. `timeout_ms` is the request's, 0 where it has
/// none.
pub async fn carry_out(
    context: &Context,
    planned: Vec<Result<Command, Failure>>,
    timeout_ms: i32,
) -> Vec<Result<Outcome, Failure>> {
    let deadline_ns = context.admin_deadline_ns(timeout_ms);
    let mut begun = Vec::with_capacity(planned.len());
    let mut pace = Pace::begin();
    for one in planned {
        pace.rest_if_late().await;
        begun.push(one.map(|command| context.shard.begin_control(command)));
    }
    let mut results = Vec::with_capacity(begun.len());
    for one in begun {
        results.push(match one {
            Ok(ticket) => context.shard.end_control(ticket, deadline_ns).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        });
    }
    results
}

/// What is named more than once.
pub fn repeated<T: Ord>(names: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    for name in names {
        if let Some(again) = seen.replace(name) {
            repeated.insert(again);
        }
    }
    repeated
}

/// The brokers that live, by their ids: every node has the plaintext listener.
pub fn living(context: &Context) -> BTreeSet<i32> {
    context.brokers(&Listener::plain()).into_iter().map(|broker| broker.id).collect()
}

/// A placement by hand: one list of brokers for each new partition; see [`by_hand`]. As in Kafka,
/// one of each list lives.
pub fn places(
    view: &View,
    living: &BTreeSet<i32>,
    lists: &[&[i32]],
    copies: Option<u16>,
) -> Result<Vec<Place>, Failure> {
    let places = by_hand::places(view, lists, copies)?;
    match lists.iter().find(|list| !list.iter().any(|id| living.contains(id))) {
        None => Ok(places),
        Some(list) => Err(Failure::new(
            code::INVALID_REPLICA_ASSIGNMENT,
            format!("All brokers specified in the manual partition assignment {list:?} are down."),
        )),
    }
}

#[cfg(test)]
pub mod fixture {
    //! A small cluster's metadata for the tests of the admin APIs.

    use engine::control::config::Statics;
    use engine::control::propose::{NewTopic, create_topic};
    use engine::control::{Command, MetaState, View, ViewBuilder};
    use engine::ids::{BrokerIds, ClusterId, Incarnation, NodeId, TopicId};
    use engine::shard::Advertised;
    use std::sync::Arc;

    pub struct Cluster {
        pub state: MetaState,
        views: ViewBuilder,
    }

    impl Cluster {
        /// One node of so many shards.
        pub fn new(shards: u16) -> Self {
            let mut cluster =
                Self { state: MetaState::default(), views: ViewBuilder::new(Statics::default()) };
            let members = vec![(NodeId(0), Incarnation(1))];
            let (lanes, segment_bytes, broker_ids) = (shards, 1 << 28, BrokerIds::default());
            cluster.apply(&Command::Form {
                cluster: ClusterId(1),
                members,
                lanes,
                segment_bytes,
                broker_ids,
            });
            let advertised =
                Advertised { host: "h".to_owned(), first_port: 9092, rack: None, ..Advertised::default() };
            cluster.apply(&Command::RegisterNode { node: NodeId(0), shards, advertised });
            cluster
        }

        pub fn apply(&mut self, command: &Command) {
            self.state.apply(self.state.applied().next(), command).expect("a good command");
        }

        pub fn with_topic(mut self, name: &str, id: u128, partitions: i32) -> Self {
            let new = NewTopic {
                name: name.to_owned(),
                partitions,
                replication_factor: 1,
                configs: vec![],
                topic_id: TopicId(id),
                entropy: 1,
                by_hand: Vec::new(),
            };
            let command = create_topic(&self.view(), &Statics::default(), new).expect("a good topic");
            self.apply(&command);
            self
        }

        pub fn view(&mut self) -> Arc<View> {
            self.views.view(&self.state)
        }
    }
}
