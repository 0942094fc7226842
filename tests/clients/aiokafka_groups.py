"""aiokafka: a group of three whose members come and go, with commits by hand."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

bootstrap, topic = sys.argv[1].split(","), sys.argv[2]
PARTITIONS, RECORDS, GROUP = 6, 600, "aio-group"


class Member:
    """Polls until told to leave."""

    def __init__(self):
        self.consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=GROUP,
                                         auto_offset_reset="earliest", enable_auto_commit=False,
                                         session_timeout_ms=6000, heartbeat_interval_ms=200)
        self.seen, self.over = [], False

    async def run(self):
        await self.consumer.start()
        while not self.over:
            polled = await self.consumer.getmany(timeout_ms=100)
            for batch in polled.values():
                self.seen.extend(int(record.value) for record in batch)
            if polled:
                await self.consumer.commit()
        await self.consumer.stop()

    def assigned(self):
        return self.consumer.assignment()


async def wait_until(what, condition):
    for _ in range(1200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"in time: {what}")


def shared(members):
    owned = [partition for member in members for partition in member.assigned()]
    return len(owned) == len(set(owned)) == PARTITIONS and all(member.assigned() for member in members)


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    for i in range(RECORDS):
        await producer.send(topic, value=b"%d" % i, partition=i % PARTITIONS)
    await producer.stop()

    members = [Member() for _ in range(3)]
    tasks = [asyncio.create_task(member.run()) for member in members]
    await wait_until("three share", lambda: shared(members))
    left = members.pop(0)
    left.over = True
    await tasks[0]
    await wait_until("two share", lambda: shared(members))
    await wait_until("all records are seen",
                     lambda: len(set(left.seen + [s for m in members for s in m.seen])) == RECORDS)
    for member in members:
        member.over = True
    await asyncio.gather(*tasks)

    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    committed = [await consumer.committed(partition) for partition in partitions]
    assert committed == [RECORDS // PARTITIONS] * PARTITIONS, committed
    await consumer.stop()
    assert (GROUP, "consumer") in await admin.list_consumer_groups()
    await admin.close()


asyncio.run(main())
print("ok")
