"""aiokafka: a client with a protocol implementation of its own, under asyncio."""
import asyncio
import logging

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from kafka_broker import create, kafka, only_needletail, unique

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
CODECS = (None, "gzip", "snappy", "lz4", "zstd")


def writer(broker, **settings):
    return AIOKafkaProducer(bootstrap_servers=broker.bootstrap, **settings)


def reader(broker, *topics, **settings):
    return AIOKafkaConsumer(*topics, bootstrap_servers=broker.bootstrap, **{"auto_offset_reset": "earliest", "enable_auto_commit": False, **settings})


async def take(client, count):
    records = []
    while len(records) < count:
        for batch in (await asyncio.wait_for(client.getmany(timeout_ms=1000), 120)).values():
            records += batch
    return records


def claim_aiokafka_reads_what_it_wrote_under_every_compression():
    async def run(broker):
        for codec in CODECS:
            topic = create(broker, "aio", 2)
            headers = [("h", b"1"), ("h", b"2"), ("empty", b"")]
            async with writer(broker, compression_type=codec, linger_ms=5, enable_idempotence=True) as client:
                futures = [await client.send(topic, b"%d" % n * 30, key=b"k%d" % n, headers=headers, partition=n % 2, timestamp_ms=1_700_000_000_000 + n) for n in range(1000)]
                placed = await asyncio.wait_for(asyncio.gather(*futures), 180)
                assert [place.offset for place in placed] == [n // 2 for n in range(1000)]
            async with reader(broker) as client:
                client.assign([TopicPartition(topic, 0), TopicPartition(topic, 1)])
                records = {(record.partition, record.offset): record for record in await take(client, 1000)}
            for n in range(1000):
                record = records[n % 2, n // 2]
                assert (record.key, record.value, record.timestamp, list(record.headers)) == (b"k%d" % n, b"%d" % n * 30, 1_700_000_000_000 + n, headers), (codec, record)

    with kafka() as broker:
        asyncio.run(run(broker))


def claim_aiokafka_understands_every_meaning_of_acknowledged():
    async def run(broker):
        for acks in (0, 1, "all"):
            topic = create(broker, "aio-acks")
            async with writer(broker, acks=acks) as client:
                for n in range(100):
                    await client.send(topic, b"%d" % n)
            async with reader(broker, topic) as client:
                assert [record.value for record in await take(client, 100)] == [b"%d" % n for n in range(100)]

    with kafka() as broker:
        asyncio.run(run(broker))


def claim_aiokafka_shares_a_topic_in_a_group():
    class Listener(ConsumerRebalanceListener):
        def __init__(self):
            self.held = set()

        async def on_partitions_revoked(self, revoked):
            self.held -= set(revoked)

        async def on_partitions_assigned(self, assigned):
            self.held = set(assigned)

    async def run(broker):
        topic, group = create(broker, "aio-group", 6), unique("aio")
        listeners, members, seen, tasks = [], [], [], []

        async def follow(client):
            async for record in client:
                seen.append((record.partition, record.offset))

        async def settled(count):
            held = [place for listener in listeners for place in listener.held]
            return len(held) == len(set(held)) == 6 and all(len(listener.held) == 6 // count for listener in listeners)

        async def until(condition, what):
            for _ in range(1200):
                if await condition():
                    return
                await asyncio.sleep(0.1)
            raise AssertionError(f"never: {what}")

        async def all_read(count):
            return set(seen) == {(n % 6, n // 6) for n in range(count)}

        async def join():
            client, listener = reader(broker, group_id=group, session_timeout_ms=30_000, heartbeat_interval_ms=500), Listener()
            client.subscribe([topic], listener=listener)
            await client.start()
            listeners.append(listener)
            members.append(client)
            tasks.append(asyncio.create_task(follow(client)))

        async with writer(broker) as client:
            for _ in range(3):
                await join()
            await until(lambda: settled(3), "two partitions each")
            for n in range(600):
                await client.send(topic, b"%d" % n, partition=n % 6)
            await client.flush()
            await until(lambda: all_read(600), "all is read")
            for member in members:
                await member.commit()
            tasks.pop(0).cancel()
            listeners.pop(0)
            await members.pop(0).stop()
            await until(lambda: settled(2), "three partitions each")
            for n in range(600, 1200):
                await client.send(topic, b"%d" % n, partition=n % 6)
            await client.flush()
            await until(lambda: all_read(1200), "all is read")
            assert len(seen) == 1200, "something came again although everybody left in order"
            for task in tasks:
                task.cancel()
            for member in members:
                await member.commit()
                await member.stop()
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        placed = await admin.list_consumer_group_offsets(group)
        assert {place.partition: value.offset for place, value in placed.items()} == dict.fromkeys(range(6), 200), placed
        assert group in str(await admin.list_consumer_groups())
        await admin.close()

    with kafka() as broker:
        asyncio.run(run(broker))


def claim_aiokafka_seeks_by_offset_and_time():
    async def run(broker):
        topic = create(broker, "aio-places")
        async with writer(broker) as client:
            for n in range(10):
                await client.send_and_wait(topic, b"%d" % n, timestamp_ms=1_700_000_000_000 + n * 1000)
        place = TopicPartition(topic, 0)
        async with reader(broker) as client:
            client.assign([place])
            assert await client.beginning_offsets([place]) == {place: 0} and await client.end_offsets([place]) == {place: 10}
            found = (await client.offsets_for_times({place: 1_700_000_004_500}))[place]
            assert (found.offset, found.timestamp) == (5, 1_700_000_005_000), found
            client.seek(place, 8)
            assert [record.offset for record in await take(client, 2)] == [8, 9]
            await client.seek_to_beginning(place)
            assert [record.offset for record in await take(client, 10)] == list(range(10))
            assert await client.position(place) == 10 and client.highwater(place) == 10

    with kafka() as broker:
        asyncio.run(run(broker))


def claim_aiokafka_is_told_of_a_message_that_is_too_large():
    async def run(broker):
        topic = create(broker, "aio-small", max_message_bytes=10_000)
        async with writer(broker) as client:
            try:
                await client.send_and_wait(topic, b"x" * 50_000)
                raise AssertionError("taken")
            except MessageSizeTooLargeError:
                pass
            assert (await client.send_and_wait(topic, b"x")).offset == 0

    with kafka() as broker:
        asyncio.run(run(broker))


def claim_aiokafka_administers():
    async def run(broker):
        topic = unique("aio-made")
        client = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await client.start()
        await client.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "3600000"})])
        assert topic in await client.list_topics()
        await client.create_partitions({topic: NewPartitions(3)})
        for _ in range(600):
            found = (await client.describe_topics([topic]))[0]
            if len(found["partitions"]) == 3:
                break
            await asyncio.sleep(0.1)
        assert len(found["partitions"]) == 3, found
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "7200000"})])
        assert "7200000" in str(await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
        async with writer(broker) as source:
            for n in range(20):
                await source.send_and_wait(topic, b"%d" % n, partition=0)
        place = TopicPartition(topic, 0)
        assert await client.delete_records({place: RecordsToDelete(5)}) == {place: 5}
        assert (await client.describe_cluster())["brokers"]
        await client.delete_topics([topic])
        await client.close()

    with kafka() as broker:
        asyncio.run(run(broker))


def claim_aiokafka_may_ask_for_a_transaction_in_vain():
    only_needletail("Apache Kafka has transactions")

    async def run(broker):
        client = writer(broker, transactional_id=unique("transaction"))
        try:
            await asyncio.wait_for(client.start(), 90)
            raise AssertionError("granted")
        except KafkaError as error:
            return type(error).__name__
        finally:
            await client.stop()

    with kafka() as broker:
        return asyncio.run(run(broker))
