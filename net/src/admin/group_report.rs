//! What there is to say of consumer groups: read by ListGroups, DescribeGroups, OffsetFetch and the
//! ends of the partitions, shown as tables.

use super::connection::Connection;
use super::consumer_group;
use super::kafka_error::check;
use super::offsets::{self, Spread};
use super::out;
use super::reach::Reach;
use super::topic_report::{self, left_out};
use crate::kafka::codec::wire::{DecodeLimits, StrBytes};
use crate::kafka::errors::code;
use crate::process::refusal::Refusal;
use kafka_wire::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_wire::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_wire::{
    DescribeGroupsRequest, ListGroupsRequest, OffsetFetchRequest, consumer_group_describe_response,
};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupRow {
    group: String,
    state: String,
    protocol: String,
    /// The broker that knows it.
    coordinator: i32,
}

/// The groups of every broker that answers.
pub fn list(connection: &mut Connection, reach: &Reach) -> Result<Vec<GroupRow>, Refusal> {
    let metadata = topic_report::metadata(connection, Some(&[]))?;
    let mut rows = Vec::new();
    for broker in &metadata.brokers {
        let subject = format!("broker {}", broker.node_id);
        let mut coordinator = offsets::must_connect(reach, broker)?;
        // Version 4 is the first that tells the state.
        let response = coordinator.call(4, &ListGroupsRequest::default())?;
        check(&subject, response.error_code, None)?;
        rows.extend(response.groups.into_iter().map(|group| GroupRow {
            group: group.group_id.as_str().to_owned(),
            state: group.group_state.as_str().to_owned(),
            protocol: group.protocol_type.as_str().to_owned(),
            coordinator: broker.node_id,
        }));
    }
    rows.sort();
    Ok(rows)
}

pub fn list_table(rows: &[GroupRow]) -> String {
    if rows.is_empty() {
        return "no groups".to_owned();
    }
    let cells = rows
        .iter()
        .map(|row| [row.group.clone(), row.state.clone(), row.protocol.clone(), row.coordinator.to_string()]);
    out::table(["group", "state", "protocol", "coordinator"], cells)
}

#[derive(Serialize)]
pub struct GroupReport {
    group: String,
    state: String,
    /// How its members share the partitions.
    assignor: String,
    members: Vec<MemberRow>,
    partitions: Vec<LagRow>,
}

#[derive(Serialize)]
struct MemberRow {
    member: String,
    client: String,
    host: String,
    /// Topic and partition.
    owns: Vec<(String, i32)>,
}

#[derive(Serialize)]
struct LagRow {
    topic: String,
    partition: i32,
    /// `None` where the group has committed nothing.
    offset: Option<i64>,
    next_offset: Option<i64>,
    lag: Option<i64>,
    owner: Option<String>,
}

/// By topic and partition.
pub type Offsets = BTreeMap<(String, i32), i64>;

impl GroupReport {
    pub fn ask(coordinator: &mut Connection, reach: &Reach, name: &str) -> Result<Self, Refusal> {
        let committed = committed(coordinator, name)?;
        let Some(group) = find(coordinator, name)? else {
            return Self::of_consumers(coordinator, reach, name, &committed);
        };
        // Kafka says "Dead" of a group that it never heard of.
        if group.group_state.as_str() == "Dead" && committed.is_empty() {
            check(&format!("group '{name}'"), code::GROUP_ID_NOT_FOUND, None)?;
        }
        let members: Vec<MemberRow> = group.members.iter().map(member).collect();
        let partitions = lags(coordinator, reach, &committed, &members)?;
        let (state, assignor) =
            (group.group_state.as_str().to_owned(), group.protocol_data.as_str().to_owned());
        Ok(Self { group: name.to_owned(), state, assignor, members, partitions })
    }

    /// Of a group of the consumer protocol, where it is one.
    fn of_consumers(
        coordinator: &mut Connection,
        reach: &Reach,
        name: &str,
        committed: &Offsets,
    ) -> Result<Self, Refusal> {
        let Some(described) = consumer_group::ask(coordinator, name)? else {
            check(&format!("group '{name}'"), code::GROUP_ID_NOT_FOUND, None)?;
            unreachable!("that is a refusal")
        };
        let member = |member: &consumer_group_describe_response::Member| MemberRow {
            member: member.instance_id.as_ref().unwrap_or(&member.member_id).as_str().to_owned(),
            client: member.client_id.as_str().to_owned(),
            host: member.client_host.as_str().trim_start_matches('/').to_owned(),
            owns: consumer_group::owned(member),
        };
        let members: Vec<MemberRow> = described.members.iter().map(member).collect();
        let partitions = lags(coordinator, reach, committed, &members)?;
        let text = |text: &StrBytes| text.as_str().to_owned();
        let (state, assignor) = (text(&described.group_state), text(&described.assignor_name));
        Ok(Self { group: name.to_owned(), state, assignor, members, partitions })
    }

    pub fn text(&self) -> String {
        let (group, state, count) = (out::printable(&self.group), &self.state, self.members.len());
        let assignor = if self.assignor.is_empty() { "-" } else { &self.assignor };
        let mut text = format!("{group}: {state}, {count} member(s), assignor {assignor}\n");
        if !self.members.is_empty() {
            let cells = self.members.iter().map(|member| {
                let owns = member.owns.len().to_string();
                [member.member.clone(), member.client.clone(), member.host.clone(), owns]
            });
            text.push_str(&out::table(["member", "client", "host", "partitions"], cells));
            text.push_str("\n\n");
        }
        let header = ["topic", "partition", "offset", "next offset", "lag", "owner"];
        text.push_str(&out::table(header, self.partitions.iter().map(LagRow::cells)));
        text
    }
}

impl LagRow {
    fn cells(&self) -> [String; 6] {
        [
            self.topic.clone(),
            self.partition.to_string(),
            out::or_dash(self.offset),
            out::or_dash(self.next_offset),
            out::or_dash(self.lag),
            out::or_dash(self.owner.as_ref()),
        ]
    }
}

/// `None` where the coordinator never heard of it.
pub fn find(coordinator: &mut Connection, name: &str) -> Result<Option<DescribedGroup>, Refusal> {
    let mut request = DescribeGroupsRequest::default();
    request.groups.push(name.into());
    let response = coordinator.call(0, &request)?;
    let group = response.groups.into_iter().next().ok_or_else(|| left_out(coordinator))?;
    Ok(consumer_group::is_there(name, group.error_code, group.error_message.as_deref())?.then_some(group))
}

/// What the group has committed; version 8 asks for several groups, and all topics of each.
pub fn committed(coordinator: &mut Connection, name: &str) -> Result<Offsets, Refusal> {
    let mut group = OffsetFetchRequestGroup::default();
    (group.group_id, group.member_epoch, group.topics) = (name.into(), -1, None);
    let mut request = OffsetFetchRequest::default();
    request.groups.push(group);
    // Newer versions name topics by ids: their names are not told.
    let response = coordinator.call_at_most(8, 9, &request)?;
    let group = response.groups.into_iter().next().ok_or_else(|| left_out(coordinator))?;
    check(&format!("group '{name}'"), group.error_code, None)?;
    let mut offsets = Offsets::new();
    for topic in &group.topics {
        for partition in topic.partitions.iter().filter(|one| one.committed_offset >= 0) {
            let place = (topic.name.as_str().to_owned(), partition.partition_index);
            offsets.insert(place, partition.committed_offset);
        }
    }
    Ok(offsets)
}

fn member(described: &DescribedGroupMember) -> MemberRow {
    MemberRow {
        member: described.group_instance_id.as_ref().unwrap_or(&described.member_id).as_str().to_owned(),
        client: described.client_id.as_str().to_owned(),
        host: described.client_host.as_str().trim_start_matches('/').to_owned(),
        owns: owned(described),
    }
}

/// Assignments are the members' own bytes: those that are no consumer's own nothing to be shown.
fn owned(described: &DescribedGroupMember) -> Vec<(String, i32)> {
    let payload = described.member_assignment.clone();
    let limits = DecodeLimits::default();
    let Ok((_, assignment)) = kafka_wire::decode_consumer_protocol_assignment(payload, limits) else {
        return Vec::new();
    };
    let topics = assignment.assigned_partitions.iter();
    topics
        .flat_map(|topic| topic.partitions.iter().map(|&number| (topic.topic.as_str().to_owned(), number)))
        .collect()
}

/// Every partition that was committed or is owned.
fn lags(
    connection: &mut Connection,
    reach: &Reach,
    committed: &Offsets,
    members: &[MemberRow],
) -> Result<Vec<LagRow>, Refusal> {
    let mut places: BTreeMap<(String, i32), Option<String>> =
        committed.keys().map(|place| (place.clone(), None)).collect();
    for member in members {
        for place in &member.owns {
            places.insert(place.clone(), Some(member.client.clone()));
        }
    }
    let mut names: Vec<&str> = places.keys().map(|(topic, _)| topic.as_str()).collect();
    names.dedup();
    let metadata = topic_report::metadata(connection, Some(&names))?;
    let spreads: BTreeMap<&str, Spread> = metadata
        .topics
        .iter()
        .map(|topic| (topic.name.as_deref().unwrap_or_default(), offsets::ask(reach, &metadata, topic)))
        .collect();
    let row = |((topic, partition), owner): ((String, i32), Option<String>)| {
        let extent = spreads.get(topic.as_str()).and_then(|spread| spread.get(&partition));
        let (offset, next_offset) =
            (committed.get(&(topic.clone(), partition)).copied(), extent.and_then(|extent| extent.next));
        let lag = offset.zip(next_offset).map(|(offset, next)| (next - offset).max(0));
        LagRow { topic, partition, offset, next_offset, lag, owner }
    };
    Ok(places.into_iter().map(row).collect())
}
