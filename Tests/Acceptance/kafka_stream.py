"""Long runs: everything at full speed while members of a group are killed, and while the broker is.

NEEDLETAIL_KAFKA_STREAM_BYTES says how much is streamed (64 MiB), NEEDLETAIL_KAFKA_KILL_SECONDS how often a member is killed (10),
NEEDLETAIL_KAFKA_KILLS how often the broker is (2).
"""
import os
import random
import threading
import time

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from broker import wait_until
from kafka_broker import Acknowledged, consumer, create, folder, kafka, producer, read, unique
from kafka_ledger import Group

BYTES = int(os.environ.get("NEEDLETAIL_KAFKA_STREAM_BYTES", 64 << 20))
KILL_SECONDS = float(os.environ.get("NEEDLETAIL_KAFKA_KILL_SECONDS", 10))
KILLS = int(os.environ.get("NEEDLETAIL_KAFKA_KILLS", 2))
RECORD = 1024
PARTITIONS = 6


def stream(client, topic, count, refused, done):
    """Writes `count` numbered records to each partition, as fast as the client takes them."""
    filler = os.urandom(RECORD - 8)

    def report(error, _):
        if error:
            refused.append(error)

    # A table of answers would be as large as the stream; only what was refused is kept.
    for first in range(0, count, 500):
        batch = range(first, min(first + 500, count))
        for partition in range(PARTITIONS):
            messages = [{"value": n.to_bytes(8, "big") + filler} for n in batch]
            while messages:
                client.produce_batch(topic, messages, partition=partition, on_delivery=report)
                # In order: what did not fit, and everything behind it, comes first in the next try.
                kept = next((at for at, message in enumerate(messages) if "_error" in message), len(messages))
                assert all("_error" in message for message in messages[kept:]), "a record behind one that did not fit was taken"
                messages = [{"value": message["value"]} for message in messages[kept:]]
                client.poll(0.05 if messages else 0)
    left = client.flush(300)
    done.append(left)


def verify(broker, topic, count, timeout):
    """A reader of its own finds each record once, at the offset that is its number."""
    client = consumer(broker, fetch_message_max_bytes=4 << 20, queued_max_messages_kbytes=64 << 10)
    client.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    places, deadline = [0] * PARTITIONS, time.monotonic() + timeout
    while min(places) < count:
        assert time.monotonic() < deadline, places
        for message in client.consume(5000, 1.0):
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                continue
            partition = message.partition()
            assert message.offset() == places[partition] == int.from_bytes(message.value()[:8], "big"), (partition, message.offset(), places)
            places[partition] += 1
    assert places == [count] * PARTITIONS, places
    client.close()


def claim_a_stream_reaches_a_group_whose_members_are_killed():
    with kafka() as broker, folder() as home:
        topic = create(broker, "stream", PARTITIONS)
        count = BYTES // RECORD // PARTITIONS
        client = producer(broker, enable_idempotence=True, batch_size=1_000_000, queue_buffering_max_kbytes=128 << 10)
        refused, done, kills, began = [], [], 0, time.monotonic()
        with Group(broker, topic, unique("stream"), home, fetch_message_max_bytes=4 << 20) as group:
            for _ in range(3):
                group.join()
            group.wait_until_settled(PARTITIONS)
            writer = threading.Thread(target=stream, args=(client, topic, count, refused, done))
            writer.start()
            last = time.monotonic()
            # The first one is killed early, so that there is one in a short run too.
            due = min(2, KILL_SECONDS)
            while writer.is_alive() or not kills:
                time.sleep(0.1)
                if time.monotonic() - last > due and group.settled(PARTITIONS):
                    random.choice(group.living()).kill()
                    kills, last, due = kills + 1, time.monotonic(), KILL_SECONDS
                    group.join()
            writer.join()
            took = time.monotonic() - began
            assert done == [0] and not refused, (done, refused[:3])
            group.wait_until_read(dict.fromkeys(range(PARTITIONS), count), 600)
            for member in group.living():
                member.leave()
            ends, again = group.judge()
            assert ends == dict.fromkeys(range(PARTITIONS), count), ends
        verify(broker, topic, count, 600)
        return f"{count * PARTITIONS * RECORD >> 20} MiB in {took:.0f} s, {kills} members killed, {again} records came again"


def claim_every_acknowledged_record_outlives_kills_of_the_broker():
    with kafka(own=True) as broker:
        topic = create(broker, "ledger", PARTITIONS)
        report, stop = Acknowledged(), threading.Event()
        client = producer(broker, acks="all", enable_idempotence=True, linger_ms=1, reconnect_backoff_max_ms=500)
        numbers = [0] * PARTITIONS

        def write():
            randomly = random.Random(5)
            while not stop.is_set():
                partition = randomly.randrange(PARTITIONS)
                value = numbers[partition].to_bytes(8, "big") + randomly.randbytes(randomly.randrange(400))
                try:
                    client.produce(topic, value, partition=partition, on_delivery=report)
                    numbers[partition] += 1
                except BufferError:
                    pass
                client.poll(0 if len(client) < 5000 else 0.01)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for kill in range(KILLS):
                before = len(report.messages)
                wait_until(lambda: len(report.messages) > before + 2000, 180, f"records are acknowledged before kill {kill}")
                time.sleep(random.random())
                broker.kill()
                broker.start()
        finally:
            stop.set()
            writer.join()
        assert client.flush(300) == 0 and not report.errors, report.errors[:3]
        found = {(message.partition(), message.offset()): message.value() for message in read(broker, topic, PARTITIONS, timeout=300)}
        for message in report.messages:
            assert found.get((message.partition(), message.offset())) == message.value(), f"lost: {message.partition()} {message.offset()}"
        # And each once, in order: the producer was idempotent throughout.
        for partition in range(PARTITIONS):
            got = [int.from_bytes(value[:8], "big") for (where, _), value in sorted(found.items()) if where == partition]
            assert got == list(range(numbers[partition])), f"partition {partition} has {len(got)} of {numbers[partition]}"
        return f"{len(report.messages)} records acknowledged, {KILLS} kills"
