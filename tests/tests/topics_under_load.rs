//! Topics that grow and go while clients use them: nobody else notices.

use futures_lite::future::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::collections::BTreeSet;
use tests::process::members::{Member, settings};
use tests::process::records::{Load, client};
use tests::process::{Broker, BrokerOptions, Deadline};

const GROWN: &str = "grown";
const GONE: &str = "gone";
const SECONDS: u64 = 60;

/// One record to each of so many partitions.
fn send(load: &Load, topic: &str, partitions: i32, number: u64) {
    for partition in 0..partitions {
        let deadline = Deadline::seconds(SECONDS);
        deadline
            .wait_for("it is taken", || load.try_send(topic, partition, number, 100).is_ok().then_some(()));
    }
}

/// Polls until the member has read all of these rounds, to so many partitions each; at least once: a
/// rebalance may begin again at what was committed last.
fn read_all(member: &mut Member, sent: &[i32]) {
    let all =
        || (0..).zip(sent).flat_map(|(number, partitions)| (0..*partitions).map(move |at| (at, number)));
    let expected: BTreeSet<(i32, u64)> = all().collect();
    Deadline::seconds(SECONDS).wait_for("every record is read", || {
        member.poll();
        (member.seen.iter().copied().collect::<BTreeSet<_>>() == expected).then_some(())
    });
}

#[test]
fn partitions_are_added_and_a_topic_is_deleted_while_clients_run() {
    let set = ["group.initial.rebalance.delay.ms=100", "auto.create.topics.enable=false"];
    let set = set.map(str::to_owned).to_vec();
    let broker = Broker::start(BrokerOptions { set, shards: 2, ..BrokerOptions::default() });
    let bootstrap = broker.bootstrap();
    let admin: AdminClient<DefaultClientContext> = client(&bootstrap, &[]).create().expect("an admin client");
    let options = AdminOptions::new();
    let new = [GROWN, GONE].map(|name| NewTopic::new(name, 2, TopicReplication::Fixed(1)));
    block_on(admin.create_topics(&new, &options)).expect("answered").into_iter().for_each(|made| {
        made.expect("made");
    });
    let refresh = ("topic.metadata.refresh.interval.ms", "200");
    let load = Load::new(&bootstrap, &[("enable.idempotence", "true"), refresh]);
    let doomed = Load::new(&bootstrap, &[("message.timeout.ms", "5000"), refresh]);
    let mut member = Member::with(settings(&bootstrap, "g").set(refresh.0, refresh.1), GROWN);

    let mut sent = Vec::new();
    let mut round = |member: &mut Member, partitions: i32, doomed: Option<&Load>| {
        let number = sent.len() as u64;
        send(&load, GROWN, partitions, number);
        doomed.into_iter().for_each(|doomed| send(doomed, GONE, 2, number));
        sent.push(partitions);
        member.poll();
        sent.clone()
    };
    for _ in 0..20 {
        round(&mut member, 2, Some(&doomed));
    }
    let grown = block_on(admin.create_partitions(&[NewPartitions::new(GROWN, 5)], &options));
    assert_eq!(grown.expect("answered"), [Ok(GROWN.to_owned())]);
    Deadline::seconds(SECONDS).wait_for("the member has the new partitions", || {
        round(&mut member, 2, Some(&doomed));
        (member.assigned().len() == 5).then_some(())
    });
    doomed.flush(SECONDS);
    assert!(doomed.reports.take().iter().all(|report| report.offset.is_ok()), "it is there still");

    let deleted = block_on(admin.delete_topics(&[GONE], &options)).expect("answered");
    assert_eq!(deleted, [Ok(GONE.to_owned())]);
    for _ in 0..20 {
        round(&mut member, 5, None);
    }
    // librdkafka may learn it from the metadata before it sends anything.
    Deadline::seconds(SECONDS)
        .wait_for("the deleted topic takes nothing", || send_or_refused(&doomed).then_some(()));
    let sent = round(&mut member, 5, None);
    load.flush(SECONDS);
    assert!(load.reports.take().iter().all(|report| report.offset.is_ok()));
    assert_eq!(load.fatal_error(), None);
    read_all(&mut member, &sent);
}

/// Whether a record for the deleted topic is refused, by the client or by the broker.
fn send_or_refused(doomed: &Load) -> bool {
    doomed.try_send(GONE, 0, 0, 100).is_err() || {
        doomed.flush(SECONDS);
        doomed.reports.take().iter().any(|report| report.offset.is_err())
    }
}
