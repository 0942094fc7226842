"""kafka-python: produce, fetch by offset and by time, with all compressions."""
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

bootstrap, topic = sys.argv[1].split(","), sys.argv[2]
expected = []
for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type=codec, linger_ms=5)
    sent = []
    for i in range(1000):
        value = f"{codec} {i} ".encode() * 5
        sent.append(producer.send(topic, key=b"k%d" % i, value=value, partition=0, headers=[("h", b"v")]))
        expected.append(value)
    producer.flush(60)
    offsets = [future.get(timeout=60).offset for future in sent]
    assert offsets == list(range(len(expected) - 1000, len(expected))), offsets[:5]
    producer.close()

consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None)
partition = TopicPartition(topic, 0)
consumer.assign([partition])
consumer.seek_to_beginning(partition)
records = []
while len(records) < len(expected):
    polled = consumer.poll(timeout_ms=30000)
    assert polled, f"{len(records)} of {len(expected)} came"
    for batch in polled.values():
        records.extend(batch)
assert [r.value for r in records] == expected
assert [r.offset for r in records] == list(range(len(expected)))
assert records[7].key == b"k7" and records[7].headers == [("h", b"v")]
assert consumer.beginning_offsets([partition])[partition] == 0
assert consumer.end_offsets([partition])[partition] == len(expected)
at = consumer.offsets_for_times({partition: records[2500].timestamp})[partition]
assert at.timestamp >= records[2500].timestamp and at.offset <= 2500, at
assert at.offset == min(r.offset for r in records if r.timestamp >= records[2500].timestamp), at
consumer.seek(partition, 4990)
assert next(iter(consumer)).offset == 4990
consumer.close()
print("ok")
