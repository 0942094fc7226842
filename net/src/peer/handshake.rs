//! The first frame of each direction of a link: who is there, and whether the two may talk.
//!
//! Both send theirs at once and judge the other's. Whoever refuses says why in a frame of its own
//! before it closes, so that both logs name the difference.

use engine::codec::{Reader, Short, Write};
use engine::ids::{ClusterId, Incarnation, NodeId, Run, ShardId};

/// The newest version written and understood. Later ones add fields at the end.
pub const HELLO_VERSION: u16 = 2;
/// The least version of the peer protocol that this program still speaks.
const VERSION_MIN: u16 = 1;
/// Far above any machine's cores; broker ids have the same bound.
const SHARDS_MAX: u16 = 1000;

/// What a shard says of itself when a link begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Versions of frames that it speaks.
    pub versions: (u16, u16),
    /// 0 until the cluster is formed.
    pub cluster: ClusterId,
    pub node: NodeId,
    pub incarnation: Incarnation,
    pub shard: ShardId,
    /// Shards of the node: a lane is worked by shard lane mod this.
    pub shards: u16,
    /// Lanes of the cluster; 0 until it is known.
    pub lanes: u16,
    /// Whom the sender believes to talk to; none when it was called.
    pub to: Option<(NodeId, ShardId)>,
    /// The process that speaks; not told before version 2.
    pub run: Run,
}

/// Bytes that are no hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    #[error("the handshake ends early")]
    Short(#[from] Short),
    #[error("the handshake holds a value that its field does not allow")]
    Value,
}

/// Why two nodes do not talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "protocol versions differ: node {node} speaks {} to {}, this one {} to {}; \
         upgrade the older one", theirs.0, theirs.1, ours.0, ours.1
    )]
    Version { node: NodeId, theirs: (u16, u16), ours: (u16, u16) },
    #[error(
        "node {node} belongs to cluster {:032x}, this one to {:032x}; \
         one of the two has a wrong address of the other, or the data folder of another cluster",
        theirs.0, ours.0
    )]
    Cluster { node: NodeId, theirs: ClusterId, ours: ClusterId },
    #[error("node {node} counts {theirs} lanes, this one {ours}")]
    Lanes { node: NodeId, theirs: u16, ours: u16 },
    #[error("two nodes are called {node}; give each its own --node-id")]
    Duplicate { node: NodeId },
    #[error(
        "node {node} is neither a member nor invited: if it is to be one, `duramen node add {node} HOST:PORT` on a \
         member, with its peer address"
    )]
    Unlisted { node: NodeId },
    #[error(
        "node {node} comes as incarnation {:032x}, and is invited as {:032x}: if it is to be this one, invite it \
         again with the incarnation that it shows when it starts", theirs.0, invited.0
    )]
    OtherLife { node: NodeId, invited: Incarnation, theirs: Incarnation },
    #[error(
        "node {} shard {} was called, node {} shard {} answers; correct the addresses in --peers",
        wanted.0, wanted.1, found.0, found.1
    )]
    WrongAddress { wanted: (NodeId, ShardId), found: (NodeId, ShardId) },
    #[error("shards {theirs} of node {node} and {ours} here share no lane")]
    NoLane { node: NodeId, theirs: ShardId, ours: ShardId },
}

impl Hello {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u16(HELLO_VERSION);
        bytes.put_u16(self.versions.0);
        bytes.put_u16(self.versions.1);
        bytes.put_u128(self.cluster.0);
        bytes.put_u32(self.node.0);
        bytes.put_u128(self.incarnation.0);
        bytes.put_u16(self.shard.0);
        bytes.put_u16(self.shards);
        bytes.put_u16(self.lanes);
        let (node, shard) = self.to.unwrap_or_default();
        bytes.put_u8(self.to.is_some().into());
        bytes.put_u32(node.0);
        bytes.put_u16(shard.0);
        bytes.put_u64(self.run.start);
        bytes.put_u64(self.run.nonce);
        bytes
    }

    /// Later versions' additional fields are passed over.
    pub fn decode(bytes: &[u8]) -> Result<Self, HelloError> {
        let mut reader = Reader(bytes);
        let version = reader.u16()?;
        let mut hello = Self {
            versions: (reader.u16()?, reader.u16()?),
            cluster: ClusterId(reader.u128()?),
            node: NodeId(reader.u32()?),
            incarnation: Incarnation(reader.u128()?),
            shard: ShardId(reader.u16()?),
            shards: reader.u16()?,
            lanes: reader.u16()?,
            to: None,
            run: Run::default(),
        };
        let called = reader.u8()?;
        let to = (NodeId(reader.u32()?), ShardId(reader.u16()?));
        hello.to = (called == 1).then_some(to);
        if version >= 2 {
            hello.run = Run { start: reader.u64()?, nonce: reader.u64()? };
        }
        let counts = (1..=SHARDS_MAX).contains(&hello.shards) && hello.shard.0 < hello.shards;
        let extra = version <= HELLO_VERSION && !reader.is_empty();
        let versions = hello.versions.0 <= hello.versions.1;
        if version == 0 || called > 1 || extra || !counts || !versions {
            return Err(HelloError::Value);
        }
        Ok(hello)
    }

    /// Whether `self`, this end, may talk to `other`; `is_listed` asks for a node in `--peers`.
    pub fn judge(&self, other: &Hello, is_listed: impl Fn(NodeId) -> bool) -> Result<(), Refused> {
        let node = other.node;
        let (theirs, ours) = (other.versions, self.versions);
        if theirs.0 > ours.1 || ours.0 > theirs.1 {
            return Err(Refused::Version { node, theirs, ours });
        }
        let found = (node, other.shard);
        match self.to {
            Some(wanted) if wanted != found => return Err(Refused::WrongAddress { wanted, found }),
            _ => {}
        }
        match other.to {
            Some(wanted) if wanted != (self.node, self.shard) => {
                return Err(Refused::WrongAddress { wanted, found: (self.node, self.shard) });
            }
            _ => {}
        }
        if node == self.node {
            return Err(Refused::Duplicate { node });
        }
        if !is_listed(node) {
            return Err(Refused::Unlisted { node });
        }
        // A node that is not formed yet asks those that may be.
        let both_formed = other.cluster.0 != 0 && self.cluster.0 != 0;
        if both_formed && other.cluster != self.cluster {
            return Err(Refused::Cluster { node, theirs: other.cluster, ours: self.cluster });
        }
        self.judge_lanes(other)
    }

    fn judge_lanes(&self, other: &Hello) -> Result<(), Refused> {
        let (theirs, ours) = (other.lanes, self.lanes);
        if theirs == 0 || ours == 0 {
            return Ok(());
        }
        if theirs != ours {
            return Err(Refused::Lanes { node: other.node, theirs, ours });
        }
        if !share_a_lane(ours, (self.shard, self.shards), (other.shard, other.shards)) {
            return Err(Refused::NoLane { node: other.node, theirs: other.shard, ours: self.shard });
        }
        Ok(())
    }
}

/// The versions that this program speaks.
pub const VERSIONS: (u16, u16) = (VERSION_MIN, super::frame::VERSION);

/// Whether two shards of different nodes work a common lane: only such pairs have a link.
pub fn share_a_lane(lanes: u16, one: (ShardId, u16), other: (ShardId, u16)) -> bool {
    (0..lanes).any(|lane| lane % one.1 == one.0.0 && lane % other.1 == other.0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(node: u32) -> Hello {
        Hello {
            versions: VERSIONS,
            cluster: ClusterId(77),
            node: NodeId(node),
            incarnation: Incarnation(u128::from(node)),
            shard: ShardId(1),
            shards: 2,
            lanes: 4,
            to: None,
            run: Run { start: 9, nonce: 0x0102_0304_0506_0708 },
        }
    }

    fn text(one: &Hello, other: &Hello) -> String {
        one.judge(other, |node| node.0 < 4).expect_err("refused").to_string()
    }

    #[test]
    fn members_of_one_cluster_talk_whatever_their_size() {
        assert_eq!(hello(1).judge(&hello(2), |_| true), Ok(()));
        let larger = Hello { shard: ShardId(3), shards: 4, ..hello(2) };
        assert_eq!(hello(1).judge(&larger, |_| true), Ok(()));
        let called = Hello { to: Some((NodeId(2), ShardId(1))), ..hello(1) };
        assert_eq!(called.judge(&hello(2), |_| true), Ok(()));
        assert_eq!(hello(2).judge(&called, |_| true), Ok(()));
    }

    #[test]
    fn the_bytes_stay_as_they_are_and_those_of_version_1_are_read() {
        let hello = Hello { to: Some((NodeId(3), ShardId(1))), ..hello(2) };
        let version_1 = [
            &b"\x01\0\x01\0\x01\0"[..],
            b"\x4d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x02\0\0\0",
            b"\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x01\0\x02\0\x04\0",
            b"\x01\x03\0\0\0\x01\0",
        ];
        let mut version_1 = version_1.concat();
        assert_eq!(Hello::decode(&version_1), Ok(Hello { run: Run::default(), ..hello.clone() }));
        version_1.push(0);
        assert_eq!(Hello::decode(&version_1), Err(HelloError::Value));
        version_1.pop();
        let run = b"\x09\0\0\0\0\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01";
        let expected = [b"\x02\0", &version_1[2..], run].concat();
        assert_eq!(hello.encode(), expected);
        assert_eq!(Hello::decode(&expected), Ok(hello));
    }

    #[test]
    fn a_refusal_names_the_difference() {
        let ours = hello(1);
        assert!(text(&ours, &Hello { cluster: ClusterId(0xab), ..hello(2) }).contains("000ab, this one to"));
        assert!(text(&ours, &hello(1)).contains("two nodes are called 1"));
        assert!(text(&ours, &hello(9)).contains("node 9 is neither a member nor invited"));
        assert!(
            text(&ours, &Hello { versions: (5, 6), ..hello(2) }).contains("speaks 5 to 6, this one 1 to 1")
        );
        assert!(text(&ours, &Hello { lanes: 8, ..hello(2) }).contains("counts 8 lanes, this one 4"));
        assert!(text(&ours, &Hello { shard: ShardId(0), ..hello(2) }).contains("share no lane"));
        let astray = Hello { to: Some((NodeId(3), ShardId(1))), ..hello(2) };
        assert!(text(&ours, &astray).contains("node 3 shard 1 was called, node 1 shard 1 answers"));
        let calling = Hello { to: Some((NodeId(3), ShardId(1))), ..hello(1) };
        assert!(text(&calling, &hello(2)).contains("node 2 shard 1 answers"));
    }

    #[test]
    fn a_node_without_a_cluster_may_ask() {
        let new = Hello { cluster: ClusterId(0), lanes: 0, ..hello(2) };
        assert_eq!(hello(1).judge(&new, |_| true), Ok(()));
        assert_eq!(new.judge(&hello(1), |_| true), Ok(()));
    }

    #[test]
    fn a_later_hello_is_read_as_far_as_it_is_known() {
        let mut bytes = Hello { versions: (1, 2), ..hello(2) }.encode();
        bytes.push(1);
        assert_eq!(Hello::decode(&bytes), Err(HelloError::Value));
        bytes[0] = 3;
        let later = Hello::decode(&bytes).expect("read");
        assert_eq!(hello(1).judge(&later, |_| true), Ok(()));
    }

    #[test]
    fn lanes_decide_who_is_linked() {
        let links = |shards: u16| {
            let pair = |at| share_a_lane(4, (ShardId(0), 2), (ShardId(at), shards));
            (0..shards).filter(|at| pair(*at)).collect::<Vec<_>>()
        };
        assert_eq!(links(1), [0]);
        assert_eq!(links(2), [0]);
        assert_eq!(links(3), [0, 2]);
        assert_eq!(links(4), [0, 2]);
        assert_eq!(links(8), [0, 2]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_hello_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(hello) = Hello::decode(&bytes) {
                prop_assert!(hello.shard.0 < hello.shards);
            }
        }

        #[test]
        fn a_hello_comes_back_and_ends_nowhere_early(
            node: u32, incarnation: u128, cluster: u128, shard in 0u16..1000, lanes: u16, called: Option<u32>,
            start: u64, nonce: u64,
        ) {
            let hello = Hello {
                versions: VERSIONS,
                cluster: ClusterId(cluster),
                node: NodeId(node),
                incarnation: Incarnation(incarnation),
                shard: ShardId(shard),
                shards: 1000,
                lanes,
                to: called.map(|node| (NodeId(node), ShardId(0))),
                run: Run { start, nonce },
            };
            let bytes = hello.encode();
            prop_assert_eq!(Hello::decode(&bytes), Ok(hello));
            for length in 0..bytes.len() {
                prop_assert!(Hello::decode(&bytes[..length]).is_err());
            }
        }
    }
}
