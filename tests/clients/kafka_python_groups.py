"""kafka-python: a group of three whose members come and go, commits, and the admin calls on groups."""
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import NewTopic

bootstrap, topic = sys.argv[1].split(","), sys.argv[2]
PARTITIONS, RECORDS, GROUP = 6, 600, "python-group"
admin = KafkaAdminClient(bootstrap_servers=bootstrap)
admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
for i in range(RECORDS):
    producer.send(topic, value=b"%d" % i, partition=i % PARTITIONS)
producer.flush(60)


class Member(threading.Thread):
    """Polls until told to leave."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.assigned, self.over, self.failed = [], set(), False, None
        self.start()

    def run(self):
        try:
            consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=GROUP,
                                     auto_offset_reset="earliest", enable_auto_commit=False,
                                     session_timeout_ms=6000, heartbeat_interval_ms=500,
                                     max_poll_interval_ms=30000)
            while not self.over:
                for batch in consumer.poll(timeout_ms=100).values():
                    self.seen.extend(int(record.value) for record in batch)
                    consumer.commit()
                self.assigned = set(consumer.assignment())
            consumer.close()
        except Exception as error:
            self.failed = error
            raise


def wait_until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in time: {what}; " + str([(m.assigned, m.failed) for m in members])
        time.sleep(0.05)


def shared(of):
    """All partitions are assigned, each to one member, and to each member as many as to the others."""
    owned = [partition for member in of for partition in member.assigned]
    sizes = {len(member.assigned) for member in of}
    return len(owned) == len(set(owned)) == PARTITIONS and sizes == {PARTITIONS // len(of)}


members = [Member()]
wait_until("one member has all", lambda: shared(members))
members += [Member(), Member()]
wait_until("three share", lambda: shared(members))
described = admin.describe_groups([GROUP])
described = described[0] if isinstance(described, list) else described[GROUP]
state = getattr(described, "state", None) or described["group_state"]
assert state == "Stable", described
left = members.pop(0)
left.over = True
left.join(30)
wait_until("two share", lambda: shared(members))
wait_until("all records are seen", lambda: len(set(left.seen + [s for m in members for s in m.seen])) == RECORDS)
for member in members:
    member.over = True
    member.join(30)
    assert member.failed is None

consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False)
partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
assert [consumer.committed(partition) for partition in partitions] == [RECORDS // PARTITIONS] * PARTITIONS
consumer.close()
by_hand = KafkaConsumer(bootstrap_servers=bootstrap, group_id="python-by-hand", enable_auto_commit=False)
by_hand.assign(partitions[:1])
by_hand.commit({partitions[0]: OffsetAndMetadata(7, "note", -1)})
assert by_hand.committed(partitions[0], metadata=True).metadata == "note"
assert by_hand.committed(partitions[0]) == 7 and by_hand.committed(partitions[1]) is None
by_hand.close()
assert GROUP in str(admin.list_groups())
assert str(RECORDS // PARTITIONS) in str(admin.list_group_offsets([GROUP]))
admin.delete_groups([GROUP])
assert GROUP not in str(admin.list_groups())
print("ok")
