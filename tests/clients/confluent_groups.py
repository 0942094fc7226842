"""confluent-kafka: a group with cooperative rebalances, and the admin calls on groups and offsets."""
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topic = sys.argv[1], sys.argv[2]
PARTITIONS, RECORDS, GROUP = 6, 600, "confluent-group"
admin = AdminClient({"bootstrap.servers": bootstrap})
admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
producer = Producer({"bootstrap.servers": bootstrap})
for i in range(RECORDS):
    producer.produce(topic, value=b"%d" % i, partition=i % PARTITIONS)
assert producer.flush(60) == 0


def member():
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP, "auto.offset.reset": "earliest",
                         "partition.assignment.strategy": "cooperative-sticky", "enable.auto.commit": False,
                         "session.timeout.ms": 6000, "heartbeat.interval.ms": 200})
    consumer.subscribe([topic])
    return consumer


def poll_until(what, consumers, condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"in time: {what}"
        for consumer in consumers:
            for message in consumer.consume(100, timeout=0.05):
                assert message.error() is None, message.error()
                seen.add(int(message.value()))


def shared(consumers):
    owned = [partition.partition for consumer in consumers for partition in consumer.assignment()]
    return sorted(owned) == list(range(PARTITIONS)) and all(consumer.assignment() for consumer in consumers)


seen = set()
members = [member()]
poll_until("one has all", members, lambda: shared(members))
members += [member(), member()]
poll_until("three share", members, lambda: shared(members))
poll_until("all records are seen", members, lambda: len(seen) == RECORDS)
described = admin.describe_consumer_groups([GROUP])[GROUP].result(30)
assert described.state == ConsumerGroupState.STABLE and len(described.members) == 3, described
assert described.partition_assignor == "cooperative-sticky"
for consumer in members:
    consumer.commit(asynchronous=False)
    consumer.close()

listed = admin.list_consumer_groups(states={ConsumerGroupState.EMPTY}).result(30)
assert GROUP in [group.group_id for group in listed.valid], listed.valid
wanted = ConsumerGroupTopicPartitions(GROUP, [TopicPartition(topic, number) for number in range(PARTITIONS)])
offsets = admin.list_consumer_group_offsets([wanted])[GROUP].result(30)
assert [one.offset for one in offsets.topic_partitions] == [RECORDS // PARTITIONS] * PARTITIONS
altered = ConsumerGroupTopicPartitions(GROUP, [TopicPartition(topic, 0, 5)])
admin.alter_consumer_group_offsets([altered])[GROUP].result(30)
offsets = admin.list_consumer_group_offsets([wanted])[GROUP].result(30)
assert offsets.topic_partitions[0].offset == 5
admin.delete_consumer_groups([GROUP])[GROUP].result(30)
listed = admin.list_consumer_groups().result(30)
assert GROUP not in [group.group_id for group in listed.valid]
print("ok")
