"""A member of a group, by kafka-python: says what it is assigned, has read and has committed, until its input ends."""
import sys
import threading
import time

from kafka import KafkaConsumer
from kafka.errors import KafkaError

bootstrap, topic, group = sys.argv[1].split(","), sys.argv[2], sys.argv[3]
# The client's first subscription can be lost (tests/COMPATIBILITY.md): then it begins again.
PATIENCE_SECONDS = 15
over = threading.Event()


def until_input_ends():
    sys.stdin.read()
    over.set()


def say(*words):
    print(*words, flush=True)


def work(consumer):
    begun, assigned = time.monotonic(), None
    while not over.is_set():
        batches = consumer.poll(timeout_ms=100)
        for partition, records in batches.items():
            for record in records:
                say("seen", partition.partition, record.value.split()[1].decode())
        if batches:
            positions = {partition: consumer.position(partition) for partition in batches}
            try:
                consumer.commit()
                for partition, offset in positions.items():
                    say("committed", partition.partition, offset)
            except KafkaError as error:
                say("refused", type(error).__name__)
        now = sorted(partition.partition for partition in consumer.assignment())
        if now != assigned:
            say("assigned", *now)
            assigned = now
        if not assigned and time.monotonic() - begun > PATIENCE_SECONDS:
            return
        if assigned:
            begun = time.monotonic()


threading.Thread(target=until_input_ends, daemon=True).start()
while not over.is_set():
    member = KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                           enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=300,
                           request_timeout_ms=15000, metadata_max_age_ms=2000, reconnect_backoff_max_ms=500)
    work(member)
    member.close()
