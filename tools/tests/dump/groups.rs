//! The records of `__consumer_offsets`, in fields.

use super::folder::with_groups;
use super::{dump, rows, text, verify};
use engine::batch::NewRecord;
use engine::groups::consumer::member::{CurrentAssignment, MemberProgress, Wish};
use engine::groups::consumer::partitions::Partitions;
use engine::groups::consumer::record::{self, About};
use engine::groups::record::{GroupValue, MemberValue, OffsetValue, group_key, offset_key};
use engine::ids::TopicId;

/// A topic and its partitions, as a consumer's leader writes it.
const ASSIGNMENT: [u8; 25] =
    [0, 1, 0, 0, 0, 1, 0, 5, b'r', b'i', b'n', b'g', b's', 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
const SUBSCRIPTION: [u8; 17] = [0, 1, 0, 0, 0, 1, 0, 5, b'r', b'i', b'n', b'g', b's', 0, 0, 0, 0];

fn shown(arguments: &[&str]) -> (Vec<serde_json::Value>, String) {
    let offset = OffsetValue {
        offset: 17,
        leader_epoch: 3,
        metadata: "by hand\u{1b}[31m".into(),
        commit_ms: 1_750_000_000_000,
        expire_ms: None,
    };
    let member = MemberValue {
        member: "m-1".into(),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        subscription: SUBSCRIPTION.into(),
        assignment: ASSIGNMENT.into(),
        ..MemberValue::default()
    };
    let group = GroupValue {
        protocol_type: "consumer".into(),
        generation: 5,
        protocol: Some("range".into()),
        leader: Some("m-1".into()),
        state_since_ms: 1_750_000_000_001,
        members: vec![member],
    };
    let keys = [offset_key("readers", "rings", 1), group_key("readers"), offset_key("gone", "rings", 0)];
    let values = [Some(offset.encode()), Some(group.encode()), None];
    let mut records: Vec<_> = keys
        .iter()
        .zip(&values)
        .map(|(key, value)| NewRecord { key: Some(key), value: value.as_deref(), ..NewRecord::value(b"") })
        .collect();
    // What no coordinator wrote is shown as it is.
    records.push(NewRecord { key: Some(b"other"), ..NewRecord::value(b"plain") });
    let dir = with_groups(&records);
    assert_eq!(verify(dir.path()).1, 0);
    let arguments = [&["records", text(dir.path()), "--topic", "__consumer_offsets"], arguments].concat();
    let table = String::from_utf8(dump(&[&arguments[..], &["--utc"]].concat()).stdout).expect("text");
    (rows(&arguments).0, table)
}

#[test]
fn offsets_and_groups_are_shown_by_their_fields() {
    let (found, table) = shown(&[]);
    assert_eq!(found.len(), 4);
    let (key, value) = (&found[0]["key"], &found[0]["value"]);
    assert_eq!(
        (&key["group"], &key["topic"], &key["partition"]),
        (&"readers".into(), &"rings".into(), &1.into())
    );
    assert_eq!((&value["offset"], &value["leader_epoch"]), (&17.into(), &3.into()));
    assert_eq!(value["commit_time"], 1_750_000_000_000i64);
    let group = &found[1]["value"];
    assert_eq!((&group["generation"], &group["protocol"]), (&5.into(), &"range".into()));
    let member = &group["members"][0];
    assert_eq!((&member["member"], &member["subscription"][0]), (&"m-1".into(), &"rings".into()));
    assert_eq!(member["assignment"]["rings"], serde_json::json!([1]));
    assert!(found[2]["value"].is_null() && found[2]["key"]["group"] == "gone");
    assert_eq!((&found[3]["key"], &found[3]["value"]), (&"other".into(), &"plain".into()));
    assert!(table.contains("commit_time=2025-06-15 15:06:40.000Z"), "{table}");
    assert!(!table.contains('\u{1b}') && table.contains("by hand\\u{1b}[31m"), "{table}");
}

#[test]
fn they_are_hidden_and_shown_raw_like_any_other() {
    let (found, _) = shown(&["--redact"]);
    assert!(found.iter().take(2).all(|row| row["key"].to_string().contains("bytes>")), "{found:?}");
    let (found, _) = shown(&["--format", "hex"]);
    assert_eq!(found[1]["key"], "0002000772656164657273");
}

/// Keys and values of one member of a consumer group.
fn consumer_records() -> [(Vec<u8>, Vec<u8>); 6] {
    let member = "m-1".to_owned();
    let assigned: Partitions = [(TopicId(0xAB), 1)].into_iter().collect();
    let wish = Wish { topics: ["rings".into()].into(), pattern: "ri.*".into(), ..Wish::default() };
    let current = CurrentAssignment {
        epoch: 4,
        progress: MemberProgress::Unrevoked,
        assigned: assigned.clone(),
        ..CurrentAssignment::default()
    };
    [
        (About::Group.key("readers"), record::group_value(5, 77)),
        (About::Member(member.clone()).key("readers"), record::member_value(&wish)),
        (About::TargetEpoch.key("readers"), record::target_epoch_value(5)),
        (About::Target(member.clone()).key("readers"), record::target_value(&assigned)),
        (About::Current(member).key("readers"), record::current_value(&current)),
        (
            About::Pattern("ri.*".to_owned()).key("readers"),
            record::pattern_value(&["rings".into()].into(), 1, 2),
        ),
    ]
}

#[test]
fn records_of_consumer_groups_are_shown_by_their_fields() {
    let written = consumer_records();
    let record =
        |(key, value): &'static (Vec<u8>, Vec<u8>)| NewRecord { key: Some(key), ..NewRecord::value(value) };
    let written: &'static [(Vec<u8>, Vec<u8>); 6] = Box::leak(Box::new(written));
    let records: Vec<_> = written.iter().map(record).collect();
    let dir = with_groups(&records);
    let (found, _) = rows(&["records", text(dir.path()), "--topic", "__consumer_offsets"]);
    let keys: Vec<_> = found.iter().map(|row| row["key"]["record"].as_str().expect("a kind")).collect();
    assert_eq!(keys[0], "ConsumerGroupMetadata");
    assert_eq!(keys[4], "ConsumerGroupCurrentMemberAssignment");
    assert_eq!(found[0]["value"], serde_json::json!({ "epoch": 5, "metadata_hash": 77 }));
    assert_eq!(found[1]["value"]["topics"], serde_json::json!(["rings"]));
    assert_eq!(found[1]["value"]["expression"], "ri.*");
    assert_eq!(found[2]["value"]["assignment_epoch"], 5);
    let id = format!("{:032x}", 0xAB);
    assert_eq!(found[3]["value"]["partitions"][&id], serde_json::json!([1]));
    assert_eq!(found[4]["value"]["state"], "UNREVOKED_PARTITIONS");
    assert_eq!(
        (&found[5]["key"]["expression"], &found[5]["value"]["topics"][0]),
        (&"ri.*".into(), &"rings".into())
    );
}
