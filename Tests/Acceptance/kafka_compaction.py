"""Compacted topics: of each key the latest value stays, and everybody can rely on it."""
import pathlib
import subprocess
import time

from confluent_kafka import TopicPartition

from broker import BINARY
from kafka_broker import Acknowledged, consumer, create, kafka, only_needletail, poll_until, producer, read
from kafka_java import command, java


def write(broker, topic, pairs, **settings):
    client, report = producer(broker, **settings), Acknowledged()
    for key, value in pairs:
        client.produce(topic, value, key, partition=0, on_delivery=report)
        client.poll(0)
    assert client.flush(120) == 0
    return report


def compacted(broker, name, delete_retention_ms=100):
    """A topic whose cleaner has as little patience as can be."""
    return create(
        broker, name, cleanup_policy="compact", segment_ms=500, min_cleanable_dirty_ratio=0.01, delete_retention_ms=delete_retention_ms, min_compaction_lag_ms=0,
        max_compaction_lag_ms=1000)


def clean(broker, topic, few, behind=-1, timeout=240):
    """Waits until the cleaner has left at most `few` records, and was behind an offset at which stood the first of our ticks: each write lets
    the segment before it be closed, and of the ticks the latest stays."""
    deadline = time.monotonic() + timeout
    while True:
        messages = read(broker, topic)
        if len(messages) <= few and behind not in [message.offset() for message in messages]:
            return messages
        assert time.monotonic() < deadline, f"{len(messages)} records are left"
        time.sleep(1)
        write(broker, topic, [(b"tick", b"tock")])


def claim_of_each_key_the_latest_value_survives():
    with kafka() as broker:
        topic = compacted(broker, "compacted")
        latest = {}
        for turn in range(20):
            pairs = [(b"key %d" % n, b"value %d of turn %d" % (n, turn)) for n in range(turn % 3, 100)]
            latest.update(pairs)
            report = write(broker, topic, pairs, compression_type=("none", "lz4", "zstd")[turn % 3], enable_idempotence=True)
            assert not report.errors, report.errors[:3]
        before = {message.offset(): (message.key(), message.value()) for message in read(broker, topic)}
        messages = clean(broker, topic, 400)
        found = {}
        for message in messages:
            assert message.key() == b"tick" or before[message.offset()] == (message.key(), message.value()), "an offset shows another record"
            found[message.key()] = message.value()
        assert {key: value for key, value in found.items() if key != b"tick"} == latest
        # One that stood in the middle of what was removed goes on with the next that is left.
        client = consumer(broker)
        client.assign([TopicPartition(topic, 0, 50)])
        assert poll_until(client, 1)[0].offset() >= 50
        client.close()
        return f"{len(messages)} of {len(before)} records are left"


def claim_a_key_whose_value_is_null_goes_away():
    with kafka() as broker:
        topic = compacted(broker, "forgotten")
        write(broker, topic, [(b"stays", b"1"), (b"goes", b"1")] * 50)
        write(broker, topic, [(b"goes", None)])
        deadline = time.monotonic() + 120
        while b"goes" in {message.key() for message in read(broker, topic)}:
            assert time.monotonic() < deadline, "still there"
            time.sleep(1)
            write(broker, topic, [(b"tick", b"tock")])
        assert {message.key(): message.value() for message in read(broker, topic)}[b"stays"] == b"1"


def claim_a_compacted_topic_refuses_a_record_without_key():
    with kafka() as broker:
        topic = create(broker, "keyed", cleanup_policy="compact")
        report = write(broker, topic, [(None, b"x")])
        assert [error.name() for error in report.errors] == ["INVALID_RECORD"], report.errors
        assert not write(broker, topic, [(b"k", b"x")]).errors


def claim_javas_own_decoder_reads_compacted_segments():
    only_needletail("Kafka's decoder reads Kafka's segments")
    with kafka() as broker:
        command(broker, "dump-log")
        # Null stays for a while after the pass that has found it.
        topic = compacted(broker, "compacted-segments", delete_retention_ms=600_000)
        for turn, codec in enumerate(("none", "gzip", "snappy", "lz4", "zstd") * 3):
            write(broker, topic, [(b"key %d" % n, b"turn %d" % turn) for n in range(turn % 4, 60)], compression_type=codec, enable_idempotence=True)
            write(broker, topic, [(b"gone", None if turn % 2 == 0 else b"here")])
            time.sleep(0.5)
        first = write(broker, topic, [(b"tick", b"tock")]).messages[0].offset()
        left = clean(broker, topic, 130, first)
        paths = broker.segments(topic)
        broker.terminate()
        text = "".join(java(None, "dump-log", "--files", str(path), "--print-data-log").stdout for path in paths)
        batches = [line for line in text.splitlines() if line.startswith("baseOffset:")]
        assert batches and all("isvalid: true" in line for line in batches), batches
        found = [int(line.split()[2]) for line in text.splitlines() if line.startswith("| offset:")]
        # Another pass may have run since it was read.
        assert set(number for number in found if number <= left[-1].offset()) <= set(message.offset() for message in left), (found[:5], len(found), len(left))
        assert found == sorted(found) and len(found) >= 60
        assert any("deleteHorizonMs: OptionalLong[" in line for line in batches), "no tombstone has its time"
        checked = subprocess.run([BINARY, "log", "verify", str(pathlib.Path(paths[0]).parent)], capture_output=True, text=True, timeout=60)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        return f"{len(found)} records in {len(batches)} batches, up to offset {found[-1]}"


def claim_a_compacted_topic_survives_kills_of_the_broker():
    only_needletail("Apache Kafka takes its time to start")
    with kafka(own=True) as broker:
        topic, latest = compacted(broker, "killed"), {}
        for turn in range(8):
            pairs = [(b"key %d" % n, b"%d of %d" % (n, turn)) for n in range(200)]
            latest.update(pairs)
            write(broker, topic, pairs * 3)
            time.sleep(0.7)
            broker.kill()
            broker.start()
            found = {message.key(): message.value() for message in read(broker, topic)}
            assert found == latest, [key for key in latest if found.get(key) != latest[key]][:5]
