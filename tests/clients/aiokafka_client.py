"""aiokafka: an idempotent producer and a consumer in one event loop."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

bootstrap, topic = sys.argv[1], sys.argv[2]


async def main():
    values = [b"record %d " % i * 20 for i in range(5000)]
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", compression_type="lz4")
    await producer.start()
    try:
        sent = [await producer.send(topic, value, partition=0) for value in values]
        offsets = [(await future).offset for future in sent]
    finally:
        await producer.stop()
    assert offsets == list(range(len(values))), offsets[:5]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        got = [(await asyncio.wait_for(consumer.getone(), 30)).value for _ in values]
    finally:
        await consumer.stop()
    assert got == values


asyncio.run(asyncio.wait_for(main(), 100))
print("ok")
