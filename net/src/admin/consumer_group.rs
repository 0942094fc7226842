//! What there is to say of a group of the consumer protocol, by ConsumerGroupDescribe.

use super::connection::Connection;
use super::kafka_error::check;
use super::topic_report::left_out;
use crate::kafka::errors::code;
use crate::process::refusal::Refusal;
use kafka_wire::ConsumerGroupDescribeRequest;
use kafka_wire::consumer_group_describe_response::{DescribedGroup, Member};

/// None where the group is none of that protocol.
pub fn ask(coordinator: &mut Connection, name: &str) -> Result<Option<DescribedGroup>, Refusal> {
    let mut request = ConsumerGroupDescribeRequest::default();
    request.group_ids.push(name.into());
    let response = coordinator.call(0, &request)?;
    let group = response.groups.into_iter().next().ok_or_else(|| left_out(coordinator))?;
    Ok(is_there(name, group.error_code, group.error_message.as_deref())?.then_some(group))
}

/// What a coordinator said of a group: whether it is there at all.
pub fn is_there(name: &str, error_code: i16, message: Option<&str>) -> Result<bool, Refusal> {
    if error_code == code::GROUP_ID_NOT_FOUND {
        return Ok(false);
    }
    check(&format!("group '{name}'"), error_code, message)?;
    Ok(true)
}

/// Topic and partition of what a member is assigned.
pub fn owned(member: &Member) -> Vec<(String, i32)> {
    let topics = member.assignment.topic_partitions.iter();
    let owned = topics.flat_map(|topic| {
        let name = topic.topic_name.as_str().to_owned();
        topic.partitions.iter().map(move |number| (name.clone(), *number))
    });
    owned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_wire::consumer_group_describe_response::TopicPartitions;

    #[test]
    fn a_member_owns_what_it_is_assigned() {
        let (mut one, mut topic) = (Member::default(), TopicPartitions::default());
        (topic.topic_name, topic.partitions) = ("t".into(), vec![0, 2]);
        one.assignment.topic_partitions.push(topic);
        assert_eq!(owned(&one), [("t".to_owned(), 0), ("t".to_owned(), 2)]);
    }
}
