"""aiokafka: groups of three with rebalances, an idempotent producer, pause and resume, seek by time.

Arguments: bootstrap servers, a topic of its own. Ends with "ok".
"""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

BOOTSTRAP, TOPIC = sys.argv[1], sys.argv[2]
PARTITIONS = 6
RECORDS = 600
# Each wait is for a condition; this is when it has failed.
SECONDS_MAX = 60
T0_MS = 1_700_000_000_000


async def until(what, condition):
    for _ in range(SECONDS_MAX * 20):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"in time: {what}")


async def produce(first, count):
    """Records with numbers as values, their times a second apart."""
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True, acks="all")
    await producer.start()
    try:
        sent = [
            await producer.send(
                TOPIC, str(n).encode(), partition=n % PARTITIONS, timestamp_ms=T0_MS + 1000 * n
            )
            for n in range(first, first + count)
        ]
        placed = [await one for one in sent]
    finally:
        await producer.stop()
    assert len({(one.partition, one.offset) for one in placed}) == count


class Member:
    def __init__(self, name, seen):
        self.consumer = AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=BOOTSTRAP,
            group_id=f"{TOPIC}-group",
            client_id=name,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=6000,
            heartbeat_interval_ms=300,
            metadata_max_age_ms=2000,
        )
        self.seen = seen

    async def start(self):
        await self.consumer.start()
        self.task = asyncio.create_task(self.read())
        return self

    async def read(self):
        async for record in self.consumer:
            self.seen.append(int(record.value))
            await self.consumer.commit()

    async def stop(self):
        self.task.cancel()
        try:
            await self.task
        except asyncio.CancelledError:
            pass
        await self.consumer.stop()

    def owned(self):
        return {tp.partition for tp in self.consumer.assignment()}


def shared(members):
    """Each partition has one owner, and each member its share."""
    owned = [member.owned() for member in members]
    return sorted(p for one in owned for p in one) == list(range(PARTITIONS)) and all(owned)


async def groups():
    seen = []
    members = [await Member("one", seen).start()]
    await until("one member owns all", lambda: shared(members))
    for name in ["two", "three"]:
        members.append(await Member(name, seen).start())
        await until(f"{len(members)} members share", lambda: shared(members))
    await until("all records were read", lambda: set(seen) == set(range(RECORDS)))
    await members.pop(0).stop()
    await until("two members share", lambda: shared(members))
    await produce(RECORDS, 60)
    await until("the new records were read", lambda: set(seen) == set(range(RECORDS + 60)))
    for member in members:
        await member.stop()
    committed = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=f"{TOPIC}-group")
    await committed.start()
    offsets = [await committed.committed(TopicPartition(TOPIC, p)) for p in range(PARTITIONS)]
    await committed.stop()
    assert sum(offsets) == RECORDS + 60, offsets


async def pause_and_seek():
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest")
    await consumer.start()
    one, other = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
    consumer.assign([one, other])
    consumer.pause(one)
    batches = await consumer.getmany(timeout_ms=5000)
    assert set(batches) == {other}, batches.keys()
    consumer.resume(one)
    record = await asyncio.wait_for(consumer.getone(one), SECONDS_MAX)
    assert record.offset == 0, record
    # The first record at or after number 301's time in partition 0 is 306.
    found = await consumer.offsets_for_times({one: T0_MS + 301_000})
    consumer.seek(one, found[one].offset)
    record = await asyncio.wait_for(consumer.getone(one), SECONDS_MAX)
    assert (record.value, record.timestamp) == (b"306", T0_MS + 306_000), record
    late = await consumer.offsets_for_times({one: T0_MS + 10_000_000})
    assert late[one] is None, late
    await consumer.stop()


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1, topic_configs={"retention.ms": "-1"})])
    await admin.close()
    await produce(0, RECORDS)
    await groups()
    await pause_and_seek()
    print("ok")


asyncio.run(main())
