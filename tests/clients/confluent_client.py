"""confluent-kafka (today's librdkafka): administration, an idempotent producer, assigned consumers."""
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

bootstrap, topic = sys.argv[1], sys.argv[2]
partitions = 6
admin = AdminClient({"bootstrap.servers": bootstrap})
for future in admin.create_topics([NewTopic(topic, partitions, 1, config={"retention.ms": "3600000"})]).values():
    future.result(30)
metadata = admin.list_topics(timeout=30)
assert len(metadata.topics[topic].partitions) == partitions
resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
config = admin.describe_configs([resource])[resource].result(30)
assert config["retention.ms"].value == "3600000", config["retention.ms"]

failed, offsets = [], {}


def delivered(error, message):
    if error is not None:
        failed.append(error)
    else:
        offsets.setdefault(message.partition(), []).append(message.offset())


for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
    producer = Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": codec, "linger.ms": 5,
    })
    for i in range(1200):
        value = f"{codec} {i // partitions} ".encode() * 10
        producer.produce(topic, value, partition=i % partitions, on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(60) == 0
assert not failed, failed[:3]
assert all(offsets[p] == list(range(1000)) for p in range(partitions))

consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
got = {p: [] for p in range(partitions)}
while sum(map(len, got.values())) < 1000 * partitions:
    message = consumer.poll(30)
    assert message is not None and message.error() is None, message and message.error()
    got[message.partition()].append(message.value())
expected = [f"{codec} {i} ".encode() * 10 for codec in ["none", "gzip", "snappy", "lz4", "zstd"] for i in range(200)]
assert all(values == expected for values in got.values())
assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30) == (0, 1000)
consumer.close()
for future in admin.delete_topics([topic]).values():
    future.result(30)
print("ok")
