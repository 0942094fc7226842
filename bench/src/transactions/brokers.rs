//! Connections of one client to brokers, made when they are needed and dropped when they fail; and who coordinates.

use super::trouble::NotDone;
use crate::cluster::cold::Cold;
use crate::cluster::directory::Directory;
use kafka_wire::FindCoordinatorRequest;
use net::kafka::codec::wire::{KafkaRequest, RequestResponsePair};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const FIND_COORDINATOR_VERSION: i16 = 3;
/// Another broker is asked where one says nothing for so long.
const ASK_THE_NEXT: Duration = Duration::from_secs(2);

/// What is coordinated; the values are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Coordinated {
    Group = 0,
    Transaction = 1,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Brokers {
    directory: Arc<Directory>,
    partitions: u32,
    open: BTreeMap<SocketAddr, Cold>,
    coordinators: BTreeMap<(i8, String), SocketAddr>,
}

impl Brokers {
    /// Of a run whose topics have so many partitions each.
    pub fn new(directory: &Arc<Directory>, partitions: u32) -> Self {
        assert!(partitions > 0, "a topic has partitions");
        Self {
            directory: Arc::clone(directory),
            partitions,
            open: BTreeMap::new(),
            coordinators: BTreeMap::new(),
        }
    }

    /// A partition of the run by its topic's name and its number there.
    pub fn place(&self, key: u32) -> (&str, i32) {
        let topic = &self.directory.topics()[(key / self.partitions) as usize];
        (topic, (key % self.partitions) as i32)
    }

    pub fn key(&self, topic: &str, number: i32) -> Option<u32> {
        let topic = u32::try_from(self.directory.topic_number(topic)?).ok()?;
        let number = u32::try_from(number).ok().filter(|number| *number < self.partitions)?;
        Some(topic * self.partitions + number)
    }

    /// Partitions by who leads them; those that nobody leads are left out, and asked for.
    pub fn by_leader(&self, keys: impl Iterator<Item = u32>) -> BTreeMap<SocketAddr, Vec<u32>> {
        let leaders = self.directory.leaders();
        let mut by_leader = BTreeMap::<_, Vec<u32>>::new();
        for key in keys {
            let leader = leaders.leader.get(key as usize).copied().flatten();
            match leader.and_then(|id| leaders.brokers.get(&id)) {
                Some(address) => by_leader.entry(*address).or_default().push(key),
                None => self.directory.request_refresh(),
            }
        }
        by_leader
    }

    /// Leaders or coordinators are not who they were.
    pub fn look_again(&self) {
        self.directory.request_refresh();
    }

    /// Asks one broker.
    pub fn call<R>(&mut self, address: SocketAddr, version: i16, request: &R) -> Result<R::Response, NotDone>
    where
        R: KafkaRequest + RequestResponsePair,
    {
        self.call_for(address, version, request, Duration::ZERO)
    }

    /// The same for what may take so long.
    pub fn call_for<R>(
        &mut self,
        address: SocketAddr,
        version: i16,
        request: &R,
        at_least: Duration,
    ) -> Result<R::Response, NotDone>
    where
        R: KafkaRequest + RequestResponsePair,
    {
        let connection = match self.open.remove(&address) {
            Some(connection) => Ok(connection),
            None => self.directory.connect(&address),
        };
        let not_there = |error: std::io::Error| {
            self.directory.request_refresh();
            NotDone::NobodyThere(format!("{address}: {error}"))
        };
        let connection = connection.map_err(not_there)?;
        let mut connection = if at_least.is_zero() { connection } else { connection.at_least(at_least) };
        match connection.call(version, request) {
            Ok(response) => {
                // One that was given more time keeps it for ever: it is for members alone.
                if at_least.is_zero() {
                    self.open.insert(address, connection);
                }
                Ok(response)
            }
            Err(error) => {
                self.directory.request_refresh();
                Err(NotDone::Silence(error.to_string()))
            }
        }
    }

    /// Asks whoever coordinates; one that is none any more is looked for the next time.
    pub fn call_coordinator<R>(
        &mut self,
        of: (Coordinated, &str),
        version: i16,
        request: &R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, NotDone>
    where
        R: KafkaRequest + RequestResponsePair,
    {
        self.call_coordinator_for(of, version, request, code, Duration::ZERO)
    }

    pub fn call_coordinator_for<R>(
        &mut self,
        of: (Coordinated, &str),
        version: i16,
        request: &R,
        code: impl Fn(&R::Response) -> i16,
        at_least: Duration,
    ) -> Result<R::Response, NotDone>
    where
        R: KafkaRequest + RequestResponsePair,
    {
        let name = (of.0 as i8, of.1.to_owned());
        let address = match self.coordinators.get(&name) {
            Some(address) => *address,
            None => self.find_coordinator(of)?,
        };
        let answer = self.call_for(address, version, request, at_least);
        let answer = answer.and_then(|response| NotDone::of(code(&response)).map(|()| response));
        match answer {
            Ok(response) => {
                self.coordinators.insert(name, address);
                Ok(response)
            }
            Err(why) => {
                if why.may_pass() {
                    self.coordinators.remove(&name);
                }
                Err(why)
            }
        }
    }

    fn find_coordinator(&mut self, (kind, key): (Coordinated, &str)) -> Result<SocketAddr, NotDone> {
        let mut request = FindCoordinatorRequest::default();
        (request.key, request.key_type) = (key.into(), kind as i8);
        // It is not the coordinator who is asked here: nothing that it says is an answer to anybody's request.
        let nobody = |error: std::io::Error| {
            self.directory.request_refresh();
            NotDone::NobodyThere(error.to_string())
        };
        let mut broker = self.directory.any_broker().map_err(nobody)?.within(ASK_THE_NEXT);
        let found = broker.call(FIND_COORDINATOR_VERSION, &request).map_err(nobody)?;
        if found.error_code != 0 {
            self.directory.request_refresh();
            let name = crate::cluster::errors::name(found.error_code);
            return Err(NotDone::NobodyThere(format!("who coordinates {key}: {name}")));
        }
        let address = self.directory.resolve(&format!("{}:{}", found.host.as_str(), found.port));
        address.map_err(|error| NotDone::NobodyThere(error.to_string()))
    }
}
