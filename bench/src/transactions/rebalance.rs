//! `rebalance`: how long it takes until all members of a group have their partitions: when all of them come at once,
//! when one more comes, and when one goes.

use super::brokers::Brokers;
use super::consumer_member::EpochMember;
use super::member::GroupMember;
use super::trouble::NotDone;
use crate::cluster::bootstrap::Bootstrap;
use crate::cluster::directory::Directory;
use crate::cluster::topics;
use crate::output::Output;
use crate::trouble::{Outcome, Trouble};
use crate::workload::Workload;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// JoinGroup and SyncGroup: one member assigns
    Classic,
    /// KIP-848: the broker assigns
    Consumer,
}

#[derive(Args, Clone, Copy, Debug)]
pub struct Gathering {
    /// Members that come at once
    #[arg(long, value_name = "N", default_value_t = 100)]
    members: u32,
    /// How they are told what they have
    #[arg(long, value_enum, default_value_t = GroupProtocol::Consumer)]
    protocol: GroupProtocol,
    /// From a heartbeat of a member to its next; clients' default is 3000 to 5000, and most of what they wait
    #[arg(long, value_name = "MS", default_value_t = 100)]
    heartbeat_ms: u64,
}

/// What it was asked to do.
pub struct RebalanceLoad {
    pub bootstrap: Bootstrap,
    pub workload: Workload,
    pub gathering: Gathering,
}

/// By member: epoch or generation, and how many partitions it has.
type Standing = Mutex<BTreeMap<u32, (i32, usize)>>;

#[derive(Serialize)]
struct ResultLine {
    r#type: &'static str,
    command: &'static str,
    protocol: GroupProtocol,
    members: u32,
    partitions: u32,
    heartbeat_ms: u64,
    all_came_ms: u64,
    one_more_ms: u64,
    one_left_ms: u64,
}

impl RebalanceLoad {
    pub fn run(&self, output: &mut Output) -> Outcome<()> {
        let directory = Directory::new(self.bootstrap.clone(), &self.workload);
        topics::prepare(&directory, &self.workload)?;
        let server = Arc::clone(&directory);
        let thread = std::thread::Builder::new().name("directory".into()).spawn(move || server.serve());
        let thread = thread.map_err(|error| Trouble::Cluster(format!("no thread for metadata: {error}")))?;
        let measured = self.measured(&directory, output);
        directory.stop();
        thread.join().expect("the directory does not panic");
        let [all_came_ms, one_more_ms, one_left_ms] = measured?;
        let Gathering { members, protocol, heartbeat_ms } = self.gathering;
        let line = ResultLine {
            r#type: "result",
            command: "rebalance",
            protocol,
            members,
            partitions: self.workload.partitions,
            heartbeat_ms,
            all_came_ms,
            one_more_ms,
            one_left_ms,
        };
        output.line(&serde_json::to_string(&line).expect("plain figures are JSON"))?;
        output.text(&format!(
            "{members} members ({protocol:?}), {} partitions, a heartbeat each {heartbeat_ms} ms: all came {all_came_ms} ms, one \
             more {one_more_ms} ms, one left {one_left_ms} ms",
            self.workload.partitions
        ));
        Ok(())
    }

    fn measured(&self, directory: &Arc<Directory>, output: &Output) -> Outcome<[u64; 3]> {
        let members = self.gathering.members;
        let standing = Standing::default();
        let over: Vec<AtomicBool> = (0..=members).map(|_| AtomicBool::new(false)).collect();
        // Another group each time: what an earlier run left is nobody's.
        let group = format!("{}-{:08x}", self.workload.topic, fastrand::u32(..));
        std::thread::scope(|scope| {
            let (standing, over, group) = (&standing, &over, group.as_str());
            let start = |number: u32| {
                scope.spawn(move || {
                    let over = &over[number as usize];
                    let ran = match self.gathering.protocol {
                        GroupProtocol::Classic => self.classic(directory, group, number, over, standing),
                        GroupProtocol::Consumer => self.consumer(directory, group, number, over, standing),
                    };
                    standing.lock().expect("no thread panics while it holds this").remove(&number);
                    if let Err(why) = ran {
                        output_of(number, &why);
                    }
                })
            };
            let measured = (|| {
                let mut took = [0; 3];
                (0..members).for_each(|number| drop(start(number)));
                took[0] = self.wait(standing, members)?;
                output.say(&format!("{members} members have their partitions after {} ms", took[0]));
                start(members);
                took[1] = self.wait(standing, members + 1)?;
                over[0].store(true, Relaxed);
                took[2] = self.wait(standing, members)?;
                Ok(took)
            })();
            over.iter().for_each(|over| over.store(true, Relaxed));
            measured
        })
    }

    /// Until so many members have all partitions among them, in one generation.
    fn wait(&self, standing: &Standing, members: u32) -> Outcome<u64> {
        let begun = Instant::now();
        let patience = Duration::from_secs_f64(self.workload.retry_seconds.min(1e6));
        loop {
            {
                let standing = standing.lock().expect("no thread panics while it holds this");
                let partitions: usize = standing.values().map(|(_, owned)| owned).sum();
                let first = standing.values().next().map(|(epoch, _)| *epoch);
                let is_one = standing.values().all(|(epoch, _)| Some(*epoch) == first);
                if standing.len() == members as usize
                    && partitions == self.workload.partitions as usize
                    && is_one
                {
                    return Ok(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
                }
                if begun.elapsed() > patience {
                    let (there, seconds) = (standing.len(), patience.as_secs());
                    return Err(Trouble::Run(format!(
                        "after {seconds} s {there} of {members} members have {partitions} partitions"
                    )));
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn pause(&self) {
        std::thread::sleep(Duration::from_millis(self.gathering.heartbeat_ms));
    }

    fn classic(
        &self,
        directory: &Arc<Directory>,
        group: &str,
        number: u32,
        over: &AtomicBool,
        standing: &Standing,
    ) -> Result<(), NotDone> {
        let brokers = Brokers::new(directory, self.workload.partitions);
        let patience = Duration::from_secs_f64(self.workload.retry_seconds.min(1e6));
        let mut member = GroupMember::new(brokers, group, (0..self.workload.partitions).collect(), patience);
        while !over.load(Relaxed) {
            let assigned = member.join()?;
            let place = (member.place().generation, assigned.len());
            standing.lock().expect("no thread panics while it holds this").insert(number, place);
            while !over.load(Relaxed) && member.beat() {
                self.pause();
            }
        }
        member.leave();
        Ok(())
    }

    fn consumer(
        &self,
        directory: &Arc<Directory>,
        group: &str,
        number: u32,
        over: &AtomicBool,
        standing: &Standing,
    ) -> Result<(), NotDone> {
        let brokers = Brokers::new(directory, self.workload.partitions);
        let mut member = EpochMember::new(brokers, group, &format!("member-{number}"), &self.workload.topic);
        while !over.load(Relaxed) {
            if let Err(why) = member.beat()
                && !why.may_pass()
            {
                return Err(why);
            }
            let place = (member.epoch, member.owned());
            standing.lock().expect("no thread panics while it holds this").insert(number, place);
            self.pause();
        }
        member.leave()
    }
}

fn output_of(number: u32, why: &NotDone) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "member {number}: {why}");
}
