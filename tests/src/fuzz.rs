//! Every hand-written decoder of bytes that clients, peers and disks give, fed with bytes that are nearly right.
//!
//! A target takes bytes and gives nothing: what counts is that it comes back, and what it allocated on the way. The
//! inputs are seeds that are right, changed at random: bits flipped, bytes cut, doubled and spliced, numbers set to
//! what breaks arithmetic. The driver needs nothing but a stable compiler, and a number gives the same inputs again.

use crate::fuzz_names;
use crate::fuzz_target::{Target, target};
use crate::process::requests::{self, FETCH_VERSION, PRODUCE_VERSION};
use engine::batch::validate::BatchError;
use engine::batch::{
    BatchBuilder, BatchHeader, Codec, EnvelopeLimits, NewRecord, Packing, RecordBounds, check_envelope,
    check_records, repack,
};
use engine::control::credentials::{Credential, Mechanism};
use engine::control::quotas::{QuotaChange, QuotaEntity, QuotaKind};
use engine::control::{Command, MetaState};
use engine::entry::item::Item;
use engine::entry::reader::{Expect, check_head};
use engine::formation::Report;
use engine::groups::record::{GroupValue, Key, MemberValue, OffsetValue, group_key, offset_key};
use engine::ids::*;
use engine::journal::format::checkpoint_file::Checkpoint;
use engine::journal::format::hard_state::HardState;
use engine::journal::format::index_file::IndexHeader;
use engine::journal::format::install_file::Install;
use engine::journal::format::meta_record::JournalMeta;
use engine::partition::Fold;
use engine::peer::run::{RunMessage, RunName, RunsHeld};
use engine::peer::{PeerMessage, RaftKind, RaftMessage};
use engine::raft::Membership;
use engine::register::NodeRecord;
use engine::rewrite::{AbortedRanges, Compactor, Fate, KeyMap, KeyScan, PassRules, ScanRange, check_run};
use engine::rng::Rng;
use net::client::sasl::jwt::{TokenRules, check_token};
use net::client::sasl::oauthbearer::BearerMessage;
use net::client::sasl::plain::PlainMessage;
use net::client::sasl::scram_message::{ClientFinal, ClientFirst};
use net::client::sasl::token_keys::TokenKeys;
use net::kafka::api::Api;
use net::kafka::codec::header;
use net::kafka::codec::wire::{BytesMut, encode};
use net::kafka::hot::fetch_codec::FetchRequest;
use net::kafka::hot::produce_codec::ProduceRequest;
use net::peer::frame::{HEADER_BYTES, read_header};
use net::peer::handshake::Hello;
use std::path::Path;

/// The identity of the golden files.
const GOLDEN: JournalIdentity = JournalIdentity {
    cluster: ClusterId(0xd02a_3e17_0000_0000_0000_0000_0000_0001),
    journal: JournalId(5),
    secret: 0x0123_4567_89ab_cdef,
};

/// What the decompressors have: windows, and steps of what they give.
const WINDOWS_BYTES: usize = 12 << 20;

/// Every target with its seeds; the golden files are read from `engine/tests/golden`.
pub fn targets() -> Vec<Target> {
    let mut targets = of_clients();
    targets.extend(of_strangers());
    targets.extend(fuzz_names::targets());
    targets.extend(of_peers());
    targets.extend(of_disks());
    targets
}

fn of_clients() -> Vec<Target> {
    let unpacks = |target: Target| Target { allocates_bytes: WINDOWS_BYTES, ..target };
    vec![
        target("client: request header", 4, headers(), |bytes| {
            let apis: Vec<Api> = net::kafka::versions::apis();
            _ = header::open(bytes, &apis);
        }),
        target("client: produce", 4, produce_requests(), |bytes| {
            let Some((version, body)) = bytes.split_first() else { return };
            _ = ProduceRequest::decode(body, i16::from(version % 14));
        }),
        target("client: fetch", 8, fetch_requests(), |bytes| {
            let Some((version, body)) = bytes.split_first() else { return };
            _ = FetchRequest::decode(body, i16::from(version % 19));
        }),
        unpacks(target("client: batch", 4, batches(), |bytes| {
            let limits = EnvelopeLimits {
                batch_bytes_max: 1 << 20,
                log_append_time: false,
                transactional: true,
                trusts_header: false,
                timestamp_before_max_ms: i64::MAX,
                timestamp_after_max_ms: i64::MAX,
                wall_ms: 1_700_000_000_000,
            };
            _ = check_envelope(bytes, &limits);
            // The CRC covers all behind it: made right again, so that what is behind it is looked at.
            let mut right = bytes.to_vec();
            if right.len() > 21 {
                let crc = crc32c::crc32c(&right[21..]);
                right[17..21].copy_from_slice(&crc.to_be_bytes());
            }
            if check_envelope(&right, &limits).is_ok() {
                let checked = check_records(&right, RecordBounds::ANY);
                // Whatever it holds: with another codec it is the same, or refused for the same reason.
                let codec = Codec::ALL[right.len() % Codec::ALL.len()];
                match (repack(&right, Packing::usual(codec), 1 << 20), checked) {
                    (Ok(packed), checked) => assert_eq!(check_records(&packed, RecordBounds::ANY), checked),
                    (Err(BatchError::TooLargeRepacked { .. }), _) => {}
                    (Err(error), checked) => assert_eq!(checked, Err(error)),
                }
            }
        })),
        unpacks(target("client: compressed records", 4, packed(), |bytes| {
            let Some((codec, body)) = bytes.split_first() else { return };
            let codec = Codec::ALL[usize::from(*codec) % Codec::ALL.len()];
            _ = codec.decompress(body, 1 << 20);
        })),
    ]
}

/// Whoever is not known yet may send these.
fn of_strangers() -> Vec<Target> {
    let first = b"n,a=user,n=user,r=fyko+d2lbbFgONRv9qkxdawL,ext=1".to_vec();
    let last = [&b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p="[..], &[b'A'; 43], b"="].concat();
    vec![
        target("stranger: SCRAM, first message", 4, vec![first, b"n,,n=us=2Cer,r=x".to_vec()], |bytes| {
            _ = ClientFirst::read(bytes);
        }),
        target("stranger: SCRAM, last message", 4, vec![last], |bytes| {
            _ = ClientFinal::read(bytes, Mechanism::ScramSha256, "n,,");
        }),
        target(
            "stranger: PLAIN",
            4,
            vec![b"\0user\0pencil".to_vec(), b"user\0user\0pencil".to_vec()],
            |bytes| {
                _ = PlainMessage::read(bytes);
            },
        ),
        target("stranger: OAUTHBEARER", 4, vec![BearerMessage::write("a.b.c")], |bytes| {
            _ = BearerMessage::read(bytes);
        }),
        target("stranger: token", 64, tokens(), |bytes| {
            let Ok(token) = core::str::from_utf8(bytes) else { return };
            let rules =
                TokenRules { issuer: None, audiences: Vec::new(), skew_s: 30, principal_claim: "sub".into() };
            thread_local!(static KEYS: TokenKeys = TokenKeys::parse(TOKEN_KEYS).expect("keys"));
            _ = KEYS.with(|keys| check_token(token, keys, &rules, 1500));
        }),
        target("operator: keys of tokens", 64, vec![TOKEN_KEYS.as_bytes().to_vec()], |bytes| {
            if let Ok(text) = core::str::from_utf8(bytes) {
                _ = TokenKeys::parse(text);
            }
        }),
    ]
}

const TOKEN_KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// The header is of the key above, the signature is none: what is behind it is not reached by guessing.
fn tokens() -> Vec<Vec<u8>> {
    let header = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ";
    let claims = "eyJzdWIiOiJ1c2VyIiwiZXhwIjoyMDAwfQ";
    vec![format!("{header}.{claims}.{}", "A".repeat(86)).into_bytes()]
}

fn of_peers() -> Vec<Target> {
    vec![
        target("peer: frame header", 4, vec![vec![0; HEADER_BYTES]], |bytes| {
            if let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() {
                _ = read_header(bytes);
            }
        }),
        target("peer: hello", 4, vec![hello()], |bytes| {
            _ = Hello::decode(bytes);
        }),
        target("peer: message", 8, messages(), |bytes| {
            _ = PeerMessage::decode(bytes, None);
        }),
        target("peer: formation report", 8, vec![report()], |bytes| {
            _ = Report::decode(bytes);
        }),
    ]
}

fn of_disks() -> Vec<Target> {
    let unpacks = |target: Target| Target { allocates_bytes: WINDOWS_BYTES, ..target };
    vec![
        unpacks(target("disk: batch to be compacted", 8, batches(), compact)),
        target(
            "disk: entry head",
            4,
            golden(&["segment.seg", "membership.seg", "later-span.seg"]),
            |bytes| {
                let expect = Expect { identity: GOLDEN, segment_base: Index(1), position: 0 };
                _ = check_head(bytes, &expect);
            },
        ),
        target("disk: control items", 8, items(), |bytes| {
            _ = Item::decode_all(bytes);
        }),
        target("disk: command", 8, commands(), |bytes| {
            _ = Command::decode(bytes);
        }),
        target("disk: metadata", 16, metadata(), |bytes| {
            _ = MetaState::decode(bytes);
        }),
        target("disk: fold", 16, golden(&["later-span.fold"]), |bytes| {
            _ = Fold::decode(bytes);
        }),
        target("disk: members", 8, vec![members()], |bytes| {
            _ = Membership::decode(bytes);
        }),
        target("disk: node.meta", 8, golden(&["node.meta", "node.meta-1"]), |bytes| {
            _ = NodeRecord::decode(bytes);
        }),
        target("disk: journal.meta", 8, golden(&["journal.meta"]), |bytes| {
            _ = JournalMeta::decode("journal.meta", bytes);
        }),
        target("disk: hard-state", 8, golden(&["hard-state", "hard-state-1"]), |bytes| {
            _ = HardState::read("hard-state", bytes, &GOLDEN);
        }),
        target("disk: checkpoint", 8, golden(&["checkpoint.ckpt"]), |bytes| {
            _ = Checkpoint::decode("checkpoint", bytes, &GOLDEN);
        }),
        target("disk: install", 8, golden(&["install"]), |bytes| {
            _ = Install::decode("install", bytes, &GOLDEN);
        }),
        target("disk: index", 8, golden(&["segment.idx"]), |bytes| {
            _ = IndexHeader::decode(bytes, &GOLDEN, Index(1));
        }),
        target("disk: run", 8, golden(&["6.run"]), |bytes| {
            _ = check_run(bytes, &GOLDEN, RunId(6));
            let mut right = bytes.to_vec();
            sum_blocks(&mut right);
            _ = check_run(&right, &GOLDEN, RunId(6));
        }),
        target("disk: group key", 8, vec![group_key("g"), offset_key("g", "topic", 3)], |bytes| {
            _ = Key::decode(bytes);
        }),
        target("disk: group", 16, vec![group().encode()], |bytes| {
            _ = GroupValue::decode(bytes);
        }),
        target("disk: offset", 8, vec![offset().encode()], |bytes| {
            _ = OffsetValue::decode(bytes);
        }),
    ]
}

/// One pass over a stored batch, whatever its records are. What comes out is a batch again.
fn compact(bytes: &[u8]) {
    let mut stored = bytes.to_vec();
    let Some(header) = BatchHeader::of(&stored) else { return };
    if header.declared_bytes() != stored.len() as i64 || header.last_offset_delta.get() < 0 {
        return;
    }
    // The leader gave it its offset, and its count was looked at.
    stored[..8].fill(0);
    let (partition, horizon) = (PartitionId(1), Offset(i64::MAX));
    let (mut map, none) = (KeyMap::new(7, 1 << 16, 100), AbortedRanges::default());
    let mut scan = KeyScan::begin(ScanRange { partition, from: Offset(0), horizon }, &none, &stored);
    while scan.step(&mut map).is_none() {}
    let rules = PassRules {
        partition,
        horizon,
        takes_all_older: true,
        now_ms: 1_700_000_000_000,
        delete_retention_ms: 1,
        batch_bytes_max: 1 << 20,
    };
    let mut compactor = Compactor::new(rules, &map, &none);
    let mut work = compactor.begin(&stored);
    let fate = std::iter::repeat_with(|| work.step()).flatten().next().expect("it ends");
    let emptied = compactor.end().0;
    for batch in
        [if let Fate::Again(batch) = fate { Some(batch) } else { None }, emptied].into_iter().flatten()
    {
        let header = BatchHeader::of(&batch).expect("a whole header");
        assert_eq!(header.declared_bytes(), batch.len() as i64);
        assert_eq!(header.crc.get(), crc32c::crc32c(&batch[21..]));
    }
}

/// Makes the checksums of a run's head, foot and index right again, so that what is behind them is looked at.
fn sum_blocks(file: &mut [u8]) {
    const BLOCK: usize = 4096;
    let blocks = file.len() / BLOCK;
    for (number, block) in file.chunks_exact_mut(BLOCK).enumerate() {
        // The golden run has one block of batches, behind its head: they have sums of their own.
        if number == 1 {
            continue;
        }
        let at = if number == 0 || number + 1 == blocks { 16 } else { 0 };
        block[at..at + 4].fill(0);
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&GOLDEN.secret.to_le_bytes()), block);
        block[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Bytes like `seed`, but for a few changes.
pub fn mutate(seed: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    const NUMBERS: [u64; 8] = [0, 1, 0x7f, 0x80, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];
    let mut bytes = seed.to_vec();
    for _ in 0..1 + rng.below(4) {
        let len = bytes.len() as u64;
        if len == 0 {
            bytes.push(rng.below(256) as u8);
            continue;
        }
        let at = rng.below(len) as usize;
        match rng.below(8) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.below(256) as u8,
            2 => bytes.truncate(at),
            3 => {
                let end = (at + 1 + rng.below(32) as usize).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let end = (at + 1 + rng.below(32) as usize).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            5 if !other.is_empty() => {
                let from = rng.below(other.len() as u64) as usize;
                let to = (from + 1 + rng.below(64) as usize).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            // A length, a count or an offset at one of its bounds, in either order.
            kind => {
                let number = NUMBERS[rng.below(NUMBERS.len() as u64) as usize];
                let width = [1, 2, 4, 8][rng.below(4) as usize].min(bytes.len() - at);
                let little = number.to_le_bytes();
                let big = number.to_be_bytes();
                let source = if kind == 6 { &little[..width] } else { &big[8 - width..] };
                bytes[at..at + width].copy_from_slice(source);
            }
        }
    }
    bytes
}

fn golden(names: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/golden");
    let read =
        |name: &&str| std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    names.iter().map(read).collect()
}

fn headers() -> Vec<Vec<u8>> {
    let header = |api: i16, version: i16, rest: &[u8]| {
        let mut bytes = [api.to_be_bytes(), version.to_be_bytes()].concat();
        bytes.extend_from_slice(&7i32.to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes
    };
    vec![
        header(3, 8, &[0, 1, b'x', 9]),
        header(0, 9, &[0xff, 0xff, 1, 5, 1, 0, 9]),
        header(18, 4, &[0, 0, 0]),
    ]
}

fn with_version(version: i16, body: &BytesMut) -> Vec<u8> {
    [&[version as u8][..], body].concat()
}

fn produce_requests() -> Vec<Vec<u8>> {
    let request = requests::produce("topic", -1, requests::batch(&[b"one", b"two"]));
    let versions = [3, 7, 8, PRODUCE_VERSION, 11, 13];
    let encoded = |version: i16| {
        let mut body = BytesMut::new();
        encode(&mut body, &request, version).expect("it is a whole request");
        with_version(version, &body)
    };
    versions.into_iter().map(encoded).collect()
}

fn fetch_requests() -> Vec<Vec<u8>> {
    let request = requests::fetch("topic", 5, 100);
    let encoded = |version: i16| {
        let mut body = BytesMut::new();
        encode(&mut body, &request, version).expect("it is a whole request");
        with_version(version, &body)
    };
    [4, 7, 11, FETCH_VERSION, 18].into_iter().map(encoded).collect()
}

fn batches() -> Vec<Vec<u8>> {
    let of = |codec: Codec| {
        let mut builder = BatchBuilder::new(1_700_000_000_000);
        builder.codec(codec);
        for _ in 0..5 {
            builder.push(NewRecord { key: Some(b"key"), ..NewRecord::value(&[7; 90]) });
        }
        builder.build()
    };
    Codec::ALL.into_iter().map(of).chain([requests::batch(&[b"plain"])]).collect()
}

fn packed() -> Vec<Vec<u8>> {
    let text = b"the same words, the same words, ".repeat(40);
    let of = |(at, codec): (usize, Codec)| [&[at as u8][..], &codec.compress(&text)].concat();
    Codec::ALL.into_iter().enumerate().map(of).collect()
}

fn hello() -> Vec<u8> {
    let hello = Hello {
        versions: (1, 2),
        cluster: ClusterId(77),
        node: NodeId(1),
        incarnation: Incarnation(5),
        shard: ShardId(1),
        shards: 2,
        lanes: 4,
        to: Some((NodeId(2), ShardId(0))),
        run: Run { start: 9, nonce: 3 },
    };
    hello.encode()
}

fn messages() -> Vec<Vec<u8>> {
    let raft = |kind: RaftKind| PeerMessage::Raft {
        journal: JournalId(4),
        message: RaftMessage { from: RaftId(1), to: RaftId(2), term: Term(3), kind },
    };
    let run = |message| PeerMessage::Run { journal: JournalId(4), message };
    let name = RunName { run: RunId(3), sum: 1 << 60 };
    let all = [
        raft(RaftKind::TimeoutNow),
        raft(RaftKind::Heartbeat { commit: Index(9) }),
        PeerMessage::Control { id: 3, command: commands().remove(0) },
        PeerMessage::Elect { journal: JournalId(4) },
        PeerMessage::Hint {
            journal: JournalId(4),
            term: Term(2),
            leader: NodeId(1),
            in_sync: vec![NodeId(1), NodeId(2)],
            held_by_all: Index(7),
        },
        run(RunMessage::Piece { name, position: 1 << 18, bytes: vec![5; 20] }),
        run(RunMessage::Held(RunsHeld {
            from: RaftId(2),
            to: RaftId(1),
            applied: Index(9),
            here: vec![name],
            lacking: 1,
        })),
    ];
    all.iter().map(PeerMessage::encode).collect()
}

fn report() -> Vec<u8> {
    let report = Report {
        node: NodeId(1),
        incarnation: Incarnation(5),
        challenge: 7,
        echo: 8,
        segment_bytes: 24 << 20,
        broker_ids: None,
        is_final: true,
        listed: vec![NodeId(1), NodeId(2), NodeId(3)],
        stored: vec![(NodeId(1), Incarnation(5)), (NodeId(2), Incarnation(6))],
    };
    report.encode()
}

fn items() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    Item::SegmentDigest { segment_base: Index(1), last: Index(9), headers: 5, checkpoint: 6 }
        .encode(&mut bytes);
    Item::PartitionOpened {
        partition: PartitionId(7),
        span: SpanNumber(1),
        first_offset: Offset(0),
        epoch_base: 0,
        producers: Vec::new(),
    }
    .encode(&mut bytes);
    vec![bytes]
}

fn commands() -> Vec<Vec<u8>> {
    let entity = QuotaEntity::default();
    let change = QuotaChange { kind: QuotaKind::Produce, bytes_per_s: Some(1000) };
    let all = [
        Command::Form {
            cluster: ClusterId(5),
            members: vec![(NodeId(1), Incarnation(2)), (NodeId(2), Incarnation(3))],
            lanes: 4,
            segment_bytes: 24 << 20,
            broker_ids: BrokerIds::default(),
        },
        Command::AlterQuotas { entity, changes: vec![change] },
        Command::AllocateProducerIds { count: 1000 },
        Command::AlterCredential {
            user: "alice".to_owned(),
            mechanism: Mechanism::ScramSha256,
            credential: Some(Credential {
                iterations: 4096,
                salt: vec![1; 16],
                stored_key: vec![2; 32],
                server_key: vec![3; 32],
            }),
        },
    ];
    all.iter().map(Command::encode).collect()
}

fn metadata() -> Vec<Vec<u8>> {
    vec![MetaState::default().encode()]
}

fn members() -> Vec<u8> {
    let ids = |numbers: &[u64]| numbers.iter().map(|id| RaftId(*id)).collect();
    Membership { voters: ids(&[1, 2, 3]), outgoing: ids(&[1, 2]), learners: ids(&[4]) }.encode()
}

fn group() -> GroupValue {
    let member = MemberValue { member: "m".into(), ..MemberValue::default() };
    GroupValue {
        protocol_type: "consumer".into(),
        generation: 3,
        protocol: Some("range".into()),
        leader: Some("m".into()),
        state_since_ms: 5,
        members: vec![member],
    }
}

fn offset() -> OffsetValue {
    OffsetValue { offset: 5, leader_epoch: 1, metadata: "m".into(), commit_ms: 9, expire_ms: None }
}
