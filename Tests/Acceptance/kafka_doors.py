"""Every message through every door: Kafka's clients and Needletail's own see the same records, and the settings of the same topics."""
import json
import time

from confluent_kafka import TIMESTAMP_CREATE_TIME

from broker import wait_until
from kafka_broker import Acknowledged, admin, create, kafka, only_needletail, produce, producer, read, unique
import kafka_admin

HEADERS = [("origin", b"kafka"), ("ünïcode", "ß".encode()), ("empty", b"")]


def write(broker, topic, codec="none"):
    """Ten records with key, headers and time."""
    client, report = producer(broker, compression_type=codec), Acknowledged()
    for n in range(10):
        client.produce(topic, b"value %d" % n, b"key %d" % n, headers=HEADERS, timestamp=1_700_000_000_000 + n, partition=0, on_delivery=report)
    assert client.flush(120) == 0 and not report.errors, report.errors


def claim_what_kafka_wrote_is_read_natively():
    only_needletail("it has the other doors")
    with kafka() as broker:
        topic = create(broker, "from-kafka")
        write(broker, topic)
        messages = broker.json("consume", topic, "--from", "earliest", "--max", "10")
        assert len(messages) == 10
        for n, message in enumerate(messages):
            assert message["offset"] == n and message["key"] == f"key {n}" and message["payload"] == f"value {n}", message
            assert message["headers"] == [{"name": name, "value": value.decode()} for name, value in HEADERS], message
            assert message["time"] == f"2023-11-14T22:13:20.{n:03}Z", message


def claim_what_kafka_wrote_is_worked_off_as_a_queue():
    only_needletail("it has the other doors")
    with kafka() as broker:
        queue = unique("tasks")
        broker.cli("queue", "create", queue)
        write(broker, queue)
        got = broker.json("queue", "receive", queue, "--max", "4", "--wait", "60 s")
        # One call takes what has come so far.
        while len(got) < 10 and (more := broker.json("queue", "receive", queue, "--max", "20", "--wait", "60 s")):
            got += more
        assert [message["payload"] for message in got] == [f"value {n}" for n in range(10)], got
        assert got[0]["key"] == "key 0" and "kafka" in json.dumps(got[0]), got[0]
        assert broker.json("queue", "receive", queue) == []
        # And by a shared subscription of a topic, each message at one of its workers.
        topic = create(broker, "shared")
        write(broker, topic)
        lines = broker.cli("consume", topic, "--group", "workers", "--mode", "shared", "--max", "10", "--format", "raw").stdout.split(b"\n")
        assert sorted(line for line in lines if line) == [b"value %d" % n for n in range(10)], lines


def claim_what_was_published_natively_is_read_by_kafka():
    only_needletail("it has the other doors")
    with kafka() as broker:
        topic, before = create(broker, "native"), int(time.time() * 1000)
        broker.cli("produce", topic, "--key", "the key", "--header", "origin=native", "--header", "second=2", input=b"one\ntwo\nthree\n")
        messages = read(broker, topic, check_crcs=True)
        assert [message.value() for message in messages] == [b"one", b"two", b"three"]
        for offset, message in enumerate(messages):
            kind, stamp = message.timestamp()
            assert message.offset() == offset and message.key() == b"the key" and kind == TIMESTAMP_CREATE_TIME, message
            assert message.headers() == [("origin", b"native"), ("second", b"2")], message.headers()
            assert before - 1000 <= stamp <= int(time.time() * 1000) + 1000
        # Both write to it in turn, and the offsets are one sequence.
        produce(broker, topic, [b"four"], partition=0, compression_type="lz4")
        broker.cli("produce", topic, input=b"five\n")
        assert [(message.offset(), message.value()) for message in read(broker, topic)][3:] == [(3, b"four"), (4, b"five")]


def claim_what_a_queue_still_holds_is_read_by_kafka():
    only_needletail("it has the other doors")
    with kafka() as broker:
        queue = unique("waiting")
        broker.cli("queue", "create", queue)
        broker.cli("queue", "send", queue, "a", "b", "c")
        assert [message.value() for message in read(broker, queue)] == [b"a", b"b", b"c"]


def claim_what_kafka_compressed_is_read_natively():
    only_needletail("it has the other doors")
    with kafka() as broker:
        for codec in ("gzip", "snappy", "lz4", "zstd"):
            topic = create(broker, "compressed")
            write(broker, topic, codec)
            messages = broker.json("consume", topic, "--from", "earliest", "--max", "10")
            assert [(message["key"], message["payload"]) for message in messages] == [(f"key {n}", f"value {n}") for n in range(10)], (codec, messages)
            assert len(read(broker, topic)) == 10


def claim_a_topic_has_one_set_of_settings():
    only_needletail("it has the other doors")
    with kafka() as broker:
        topic = create(broker, "described", 3, retention_ms=3_600_000, max_message_bytes=200_000)
        found = broker.json("topic", "describe", topic)[0]
        assert len(found["partitions"]) == 3 and found["retention_ms"] == 3_600_000, found
        native = unique("natively-made")
        broker.cli("topic", "create", native, "--partitions", "2", "--retention-time", "2 h", "--segment-size", "2 MiB")
        wait_until(lambda: native in admin(broker).list_topics(timeout=90).topics, 60, "a topic that was made natively")
        settings = kafka_admin.settings_of(broker, native)
        assert settings["retention.ms"].value == "7200000" and settings["segment.bytes"].value == str(2 << 20), settings
        broker.cli("topic", "delete", native)
        wait_until(lambda: native not in admin(broker).list_topics(timeout=90).topics, 60, "the topic is gone")
