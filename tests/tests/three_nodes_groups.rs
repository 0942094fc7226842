//! A group of three members, of two languages and two clients, on a cluster of three processes:
//! members come and go under load, and the node with the coordinator is killed with -9, twice. No
//! record is missed, and no committed offset is lost or moves back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::members::{Member, committed, is_shared};
use tests::process::records::Load;
use tests::process::{Broker, Deadline, binary, foreign, workspace_folder};

const TOPIC: &str = "shared";
const PARTITIONS: i32 = 6;
const GROUP: &str = "g";
/// A failover takes a second or two; the machine may be busy with other tests.
const SECONDS: u64 = 60;
/// What is to be read before and after each fault.
const STEP_RECORDS: usize = 300;

/// The member that is a process of its own.
struct Foreign {
    child: Child,
    lines: Receiver<String>,
    assigned: BTreeSet<i32>,
}

impl Foreign {
    fn join(python: &Path, bootstrap: &str) -> Self {
        let script = workspace_folder().join("tests/clients/group_member.py");
        let mut command = Command::new(python);
        command.arg(script).args([bootstrap, TOPIC, GROUP]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        });
        Self { child, lines, assigned: BTreeSet::new() }
    }

    /// It leaves the group by itself.
    fn leave(mut self, heard: &mut Heard) {
        drop(self.child.stdin.take());
        let deadline = Deadline::seconds(SECONDS);
        deadline.wait_for("the member ends", || self.child.try_wait().expect("it is ours"));
        self.listen(heard);
    }

    fn listen(&mut self, heard: &mut Heard) {
        for line in self.lines.try_iter() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| words[at].parse::<i64>().expect("a number");
            match words[0] {
                "seen" => drop(heard.seen.insert((number(1) as i32, number(2) as u64))),
                "committed" => heard.committed(number(1) as i32, number(2)),
                "assigned" => self.assigned = (1..words.len()).map(|at| number(at) as i32).collect(),
                _ => {}
            }
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What members have read, and what they were promised.
#[derive(Default)]
struct Heard {
    seen: BTreeSet<(i32, u64)>,
    promised: BTreeMap<i32, i64>,
}

impl Heard {
    fn committed(&mut self, partition: i32, offset: i64) {
        let promised = self.promised.entry(partition).or_default();
        *promised = offset.max(*promised);
    }
}

/// The cluster, its load and its members.
struct Scene {
    cluster: Cluster,
    load: Load,
    /// Records given to the producer; each partition has as many.
    sent: u64,
    members: Vec<Member>,
    foreign: Option<Foreign>,
    heard: Heard,
}

impl Scene {
    /// Sends a few, and lets every member read and commit once.
    fn turn(&mut self) {
        for partition in 0..PARTITIONS {
            let deadline = Deadline::seconds(SECONDS);
            let send = || self.load.send(TOPIC, partition, self.sent, 100).then_some(());
            deadline.wait_for("room in the queue", send);
        }
        self.sent += 1;
        self.read();
    }

    fn read(&mut self) {
        for member in &mut self.members {
            member.poll();
            if member.seen.is_empty() {
                continue;
            }
            self.heard.seen.extend(member.seen.drain(..));
            for (partition, offset) in member.commit() {
                self.heard.committed(partition, offset);
            }
        }
        if let Some(foreign) = &mut self.foreign {
            foreign.listen(&mut self.heard);
        }
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Deadline::seconds(SECONDS);
        deadline.wait_for(what, || {
            self.turn();
            is_so(self).then_some(())
        });
    }

    /// All members have some partitions, and read on.
    fn until_shared(&mut self) {
        self.until("all partitions are shared", |scene| {
            let own = scene.members.iter().map(Member::assigned);
            let foreign = scene.foreign.iter().map(|foreign| foreign.assigned.clone());
            is_shared(own.chain(foreign), PARTITIONS)
        });
        let before = self.heard.seen.len();
        self.until("records are read", |scene| scene.heard.seen.len() >= before + STEP_RECORDS);
    }

    /// What a node says about the group.
    fn ask(&self, node: usize, arguments: &[&str]) -> Option<serde_json::Value> {
        let mut command = Command::new(binary::duramen());
        command.arg("group").args(arguments).arg("--json");
        let output = command.args(["--brokers", &self.cluster.nodes[node].bootstrap()]).output().ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }

    /// The number of the node that coordinates the group, from 0.
    fn coordinator(&self) -> usize {
        let deadline = Deadline::seconds(SECONDS);
        let broker = deadline.wait_for("the group is listed", || {
            let listed = self.ask(0, &["list"])?;
            let group = listed.as_array()?.iter().find(|group| group["group"] == GROUP)?;
            group["coordinator"].as_u64()
        });
        (broker / 1000 - 1) as usize
    }

    fn kill_coordinator(&mut self) -> usize {
        let node = self.coordinator();
        self.cluster.nodes[node].kill();
        let (seen, promised) = (self.heard.seen.len(), self.heard.promised.clone());
        self.until("the group goes on without the node", |scene| {
            let commits = |(partition, offset): (&i32, &i64)| scene.heard.promised[partition] > *offset;
            scene.heard.seen.len() >= seen + STEP_RECORDS && promised.iter().all(commits)
        });
        self.until_shared();
        self.check_promises();
        node
    }

    fn check_promises(&self) {
        for (partition, promised) in &self.heard.promised {
            let found = committed(&self.cluster.bootstrap(), GROUP, (TOPIC, *partition));
            assert!(found >= *promised, "partition {partition}: {found} is committed of {promised}");
        }
    }

    /// Nothing more is sent, and all is read.
    fn finish(&mut self) {
        self.load.flush(SECONDS);
        let sent = self.sent;
        let all =
            || (0..PARTITIONS).flat_map(move |partition| (0..sent).map(move |number| (partition, number)));
        let deadline = Deadline::seconds(SECONDS);
        deadline.wait_for("every record is read", || {
            self.read();
            (self.heard.seen.len() as u64 >= sent * PARTITIONS as u64).then_some(())
        });
        assert!(self.heard.seen.iter().copied().eq(all()), "what is read is what was sent");
        self.check_promises();
    }
}

/// Members, and no lag once all is read and committed.
fn describe(scene: &mut Scene) {
    let deadline = Deadline::seconds(SECONDS);
    deadline.wait_for("three members without lag are shown", || {
        scene.read();
        let described = scene.ask(1, &["describe", GROUP])?;
        let partitions = described["partitions"].as_array()?;
        let is_read = |row: &serde_json::Value| row["lag"] == 0 && row["owner"].is_string();
        let all = partitions.len() == PARTITIONS as usize && partitions.iter().all(is_read);
        (described["members"].as_array()?.len() == 3 && all).then_some(())
    });
}

#[test]
fn a_group_of_two_languages_loses_nothing_while_coordinators_are_killed() {
    let test = "a_group_of_two_languages_loses_nothing_while_coordinators_are_killed";
    let Some(python) = foreign::python(test) else { return };
    let cluster = Cluster::start(&[1, 1, 1]);
    cluster.create(TOPIC, PARTITIONS as u64);
    let bootstrap = cluster.bootstrap();
    let join = || Member::join(&bootstrap, TOPIC, GROUP);
    let load = Load::new(&bootstrap, &PATIENT);
    let foreign = Some(Foreign::join(&python, &bootstrap));
    let members = vec![join(), join()];
    let mut scene = Scene { cluster, load, sent: 0, members, foreign, heard: Heard::default() };
    scene.until_shared();

    // Members go and others come.
    let left = scene.members.remove(0);
    scene.heard.seen.extend(left.leave());
    scene.until_shared();
    scene.members.push(join());
    scene.until_shared();
    let left = scene.foreign.take().expect("it is there");
    left.leave(&mut scene.heard);
    scene.until_shared();
    scene.foreign = Some(Foreign::join(&python, &bootstrap));
    scene.until_shared();

    let first = scene.kill_coordinator();
    scene.cluster.nodes[first].spawn();
    scene.cluster.nodes[first].wait_ready();
    wait_in_sync(&scene.cluster);
    let second = scene.kill_coordinator();
    scene.cluster.nodes[second].spawn();
    scene.cluster.nodes.iter_mut().for_each(Broker::wait_ready);
    scene.until_shared();
    scene.finish();
    describe(&mut scene);
    println!("{} records, nodes {first} and {second} were killed", scene.heard.seen.len());
}

/// The node that came back has what the others have: another one may be killed.
fn wait_in_sync(cluster: &Cluster) {
    let deadline = Deadline::after(Duration::from_secs(SECONDS));
    for topic in [TOPIC, "__consumer_offsets"] {
        deadline.wait_for("every replica is in sync", || {
            let described = cluster.topic(0, &["describe", topic, "--json"]);
            let described: serde_json::Value = serde_json::from_slice(&described.stdout).ok()?;
            let all = |partition: &serde_json::Value| {
                partition["in_sync"].as_array().is_some_and(|nodes| nodes.len() == 3)
            };
            described["partitions"].as_array()?.iter().all(all).then_some(())
        });
    }
}
