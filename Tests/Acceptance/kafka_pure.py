"""kafka-python 3: it guesses the broker's version from what it advertises, and everything else follows from that."""
import logging
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic, OffsetSpec
from kafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata, TopicPartition

from broker import wait_until
from kafka_broker import create, kafka, only_needletail, unique

logging.getLogger("kafka").setLevel(logging.CRITICAL)
CODECS = (None, "gzip", "snappy", "lz4", "zstd")


def writer(broker, **settings):
    return KafkaProducer(bootstrap_servers=broker.bootstrap, **settings)


def reader(broker, *topics, **settings):
    return KafkaConsumer(*topics, bootstrap_servers=broker.bootstrap, **{"auto_offset_reset": "earliest", "enable_auto_commit": False, **settings})


def take(client, count, timeout=180):
    records, deadline = [], time.monotonic() + timeout
    while len(records) < count:
        assert time.monotonic() < deadline, f"only {len(records)} of {count}"
        for batch in client.poll(timeout_ms=500).values():
            records += batch
    return records


def claim_kafka_python_takes_the_broker_for_a_recent_one():
    with kafka() as broker:
        client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        versions = client.api_versions()
        found = client._manager.broker_version if hasattr(client._manager, "broker_version") else None
        client.close()
        assert versions, "nothing is advertised"
        if found is not None:
            assert found >= (2, 0), found
        return f"{found}, {len(versions)} requests"


def claim_kafka_python_reads_what_it_wrote_under_every_compression():
    with kafka() as broker:
        for codec in CODECS:
            topic = create(broker, "pure", 2)
            client = writer(broker, compression_type=codec, linger_ms=5)
            headers, stamp = [("h", b"1"), ("h", b"2"), ("empty", b"")], 1_700_000_000_000
            futures = [client.send(topic, b"%d" % n * (n % 50), key=b"k%d" % n, headers=headers, partition=n % 2, timestamp_ms=stamp + n) for n in range(1000)]
            client.flush(120)
            placed = [future.get(timeout=90) for future in futures]
            client.close()
            assert [place.offset for place in placed] == [n // 2 for n in range(1000)], codec
            source = reader(broker)
            source.assign([TopicPartition(topic, 0), TopicPartition(topic, 1)])
            records = {(record.partition, record.offset): record for record in take(source, 1000)}
            source.close()
            for n in range(1000):
                record = records[n % 2, n // 2]
                assert (record.key, record.value, record.timestamp) == (b"k%d" % n, b"%d" % n * (n % 50), stamp + n), (codec, record)
                assert list(record.headers) == headers, record.headers


def claim_kafka_python_understands_every_meaning_of_acknowledged():
    with kafka() as broker:
        for acks in (0, 1, "all"):
            topic = create(broker, "pure-acks")
            client = writer(broker, acks=acks, enable_idempotence=False)
            for n in range(100):
                client.send(topic, b"%d" % n)
            client.flush(120)
            source = reader(broker)
            source.assign([TopicPartition(topic, 0)])
            assert [record.value for record in take(source, 100)] == [b"%d" % n for n in range(100)]
            source.close()
            client.close()


def claim_kafka_python_is_told_of_a_message_that_is_too_large():
    with kafka() as broker:
        topic = create(broker, "pure-small", max_message_bytes=10_000)
        # An idempotent producer of this client is spent after such a refusal, so it is not one.
        client = writer(broker, enable_idempotence=False)
        try:
            client.send(topic, b"x" * 50_000).get(timeout=90)
            raise AssertionError("taken")
        except MessageSizeTooLargeError:
            pass
        assert client.send(topic, b"x").get(timeout=90).offset == 0
        client.close()


def claim_kafka_python_shares_a_topic_in_a_group():
    with kafka() as broker:
        topic, group = create(broker, "pure-group", 6), unique("pure")
        client = writer(broker)
        for n in range(600):
            client.send(topic, b"%d" % n, partition=n % 6)
        client.flush(120)
        settings = {"group_id": group, "session_timeout_ms": 30_000, "heartbeat_interval_ms": 500}
        members = [reader(broker, topic, **settings) for _ in range(3)]
        values, stop = [[], [], []], threading.Event()

        def run(at):
            while not stop.is_set():
                for batch in members[at].poll(timeout_ms=200).values():
                    values[at] += [record.value for record in batch]

        threads = [threading.Thread(target=run, args=(at,)) for at in range(3)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: sorted(len(member.assignment()) for member in members) == [2, 2, 2], 180, "two partitions each")
            wait_until(lambda: {value for each in values for value in each} >= {b"%d" % n for n in range(600)}, 180, "all is read")
            for n in range(600, 1200):
                client.send(topic, b"%d" % n, partition=n % 6)
            client.flush(120)
            wait_until(lambda: {value for each in values for value in each} == {b"%d" % n for n in range(1200)}, 180, "all is read")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for member in members:
            member.commit()
            member.close()
        client.close()
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        placed = admin.list_group_offsets({group: None})
        assert str(placed).count("200") >= 6, placed
        admin.close()


def claim_kafka_python_seeks_by_offset_and_time():
    with kafka() as broker:
        topic = create(broker, "pure-places")
        client = writer(broker)
        for n in range(10):
            client.send(topic, b"%d" % n, timestamp_ms=1_700_000_000_000 + n * 1000).get(timeout=90)
        client.close()
        place = TopicPartition(topic, 0)
        source = reader(broker)
        source.assign([place])
        assert source.beginning_offsets([place]) == {place: 0} and source.end_offsets([place]) == {place: 10}
        found = source.offsets_for_times({place: 1_700_000_004_500})[place]
        assert (found.offset, found.timestamp) == (5, 1_700_000_005_000), found
        source.seek(place, 8)
        assert [record.offset for record in take(source, 2)] == [8, 9]
        source.seek_to_beginning(place)
        source.pause(place)
        assert source.poll(timeout_ms=300) == {}
        source.resume(place)
        assert [record.offset for record in take(source, 10)] == list(range(10))
        source.close()


def claim_kafka_python_administers():
    with kafka() as broker:
        client, topic = KafkaAdminClient(bootstrap_servers=broker.bootstrap), unique("pure-made")
        client.create_topics([NewTopic(name=topic, num_partitions=2, replication_factor=1, topic_configs={"retention.ms": "3600000"})])
        try:
            client.create_topics([NewTopic(name=topic, num_partitions=2, replication_factor=1)])
            raise AssertionError("created twice")
        except TopicAlreadyExistsError:
            pass
        assert topic in client.list_topics()
        client.create_partitions({topic: NewPartitions(total_count=3)} if "total_count" in NewPartitions.__init__.__code__.co_varnames else {topic: 3})
        found = client.describe_topics([topic])[0]
        assert len(found["partitions"]) == 3, found
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "7200000"})
        client.alter_configs([resource])
        found = str(client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
        assert "7200000" in found, found
        producer = writer(broker)
        for n in range(20):
            producer.send(topic, b"%d" % n, partition=0)
        producer.flush(120)
        producer.close()
        place = TopicPartition(topic, 0)
        assert str(client.list_partition_offsets({place: OffsetSpec.LATEST})).count("20")
        client.delete_records({place: 5})
        assert str(client.list_partition_offsets({place: OffsetSpec.EARLIEST})).count("5")
        assert client.describe_cluster()["brokers"]
        assert client.describe_log_dirs()
        assert client.describe_topic_partitions([topic])
        group = unique("pure-administered")
        client.alter_group_offsets(group, {place: OffsetAndMetadata(9, "", -1)})
        assert "9" in str(client.list_group_offsets({group: None}))
        assert group in str(client.list_groups())
        assert client.describe_groups([group])
        client.delete_group_offsets(group, [place])
        assert client.list_group_offsets({group: None}) in ({group: {}}, {}), client.list_group_offsets({group: None})
        client.delete_groups([group])
        client.delete_topics([topic])
        wait_until(lambda: topic not in client.list_topics(), 60, "the topic is gone")
        client.close()


def claim_kafka_python_may_ask_for_a_transaction_in_vain():
    only_needletail("Apache Kafka has transactions")
    with kafka() as broker:
        client = writer(broker, transactional_id=unique("transaction"), max_block_ms=90_000)
        began = time.monotonic()
        try:
            client.init_transactions()
            raise AssertionError("granted")
        except KafkaError as error:
            assert time.monotonic() - began < 60, "not refused but waited out"
            return type(error).__name__
        finally:
            client.close(timeout=1)
