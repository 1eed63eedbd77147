"""Bytes that no client sends: Kafka's own error code or a closed connection, and nobody else notices."""
import contextlib
import os
import random
import struct
import threading
import time

from kafka_broker import TARGET, consumer, create, kafka, only_needletail, poll_until, produce, read, unique
import kafka_wire as wire


class Honest:
    """A client beside the hostile ones that writes and reads all the time, and counts."""

    def __init__(self, broker):
        self.broker, self.topic, self.stop, self.count, self.error = broker, create(broker, "honest"), threading.Event(), 0, None

    def run(self):
        try:
            while not self.stop.is_set():
                produce(self.broker, self.topic, [b"%d" % self.count], partition=0)
                self.count += 1
            assert [message.value() for message in read(self.broker, self.topic)] == [b"%d" % n for n in range(self.count)]
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        if kind is None:
            if self.error:
                raise self.error
            assert self.count > 0


@contextlib.contextmanager
def bounded(broker, megabytes=64):
    """The broker lives on, with hardly more memory than before. Of Kafka's JVM nothing can be said about that."""
    before = broker.resident_bytes() if TARGET == "needletail" else 0
    yield
    if TARGET == "needletail":
        assert broker.process.poll() is None, broker.log()[-2000:]
        grown = (broker.resident_bytes() - before) >> 20
        assert grown < megabytes, f"{grown} MiB more"
        assert len(broker.log()) < 300_000, "hostile peers filled the log"


def claim_an_unknown_version_of_apiversions_is_answered_in_the_oldest():
    with kafka() as broker:
        for version in (5, 17, 99, 32767):
            answer = wire.ask(broker, wire.request(wire.API_VERSIONS, version, b"\x08unknown\x021\x00", 7, tags=b"\x00"))
            correlation, error, count = struct.unpack_from(">ihi", answer)
            assert (correlation, error) == (7, wire.UNSUPPORTED_VERSION), (version, answer[:32])
            # What is spoken at all, so that the client can ask again.
            spoken = {key: (low, high) for key, low, high in struct.iter_unpack(">hhh", answer[10:])}
            assert len(spoken) == count and spoken.get(wire.API_VERSIONS, (0, 0))[1] >= 3, spoken


def claim_unknown_requests_and_versions_close_the_connection():
    with kafka() as broker:
        for key, version in ((999, 0), (-1, 0), (32767, 3), (wire.METADATA, 99), (wire.FETCH, 200), (wire.METADATA, -1)):
            assert wire.ask(broker, wire.request(key, version, b"\x00" * 16)) is None, (key, version)
        assert wire.ask(broker, wire.request(wire.API_VERSIONS, 0)) is not None


def claim_responses_come_in_the_order_of_requests():
    with kafka() as broker, wire.connect(broker) as connection:
        topic = create(broker, "pipelined")
        data, expected = b"", list(range(600))
        for n in expected:
            data += [wire.request(wire.API_VERSIONS, 0, b"", n), wire.request(wire.METADATA, 1, struct.pack(">i", 0), n), wire.produce(topic, wire.batch(), correlation=n)][n % 3]
        connection.sendall(data)
        assert [struct.unpack_from(">i", wire.response(connection))[0] for _ in expected] == expected
        assert len(read(broker, topic)) == 600


def claim_requests_are_understood_a_byte_at_a_time():
    with kafka() as broker, wire.connect(broker) as connection:
        topic = create(broker, "dripping")
        for byte in wire.request(wire.API_VERSIONS, 0) + wire.produce(topic, wire.batch()):
            connection.sendall(bytes([byte]))
        assert struct.unpack_from(">ih", wire.response(connection)) == (1, 0)
        assert wire.produced(wire.response(connection)) == (0, 0)


def claim_batches_that_lie_are_refused_and_not_stored():
    good = [wire.record(delta=n) for n in range(3)]
    lies = {
        "a wrong checksum": wire.batch(crc=12345),
        "a flipped byte": wire.batch()[:-2] + b"\xff" + wire.batch()[-1:],
        "more records than there are": wire.batch(good, count=5),
        "fewer records than there are": wire.batch(good, count=2),
        "a billion records": wire.batch(good, count=1 << 30),
        "a negative count": wire.batch(good, count=-1, last=2),
        "offsets that do not match the count": wire.batch(good, last=9),
        "a record that claims to be long": wire.batch([wire.record(length=1 << 28)]),
        "a record that claims to be negative": wire.batch([wire.record(length=-5)]),
        "a size beyond the request": wire.batch(size=1 << 20),
        "a size too small for a batch": wire.batch(size=10),
        "a negative size": wire.batch(size=-1),
        "half a batch": wire.batch()[:40],
        "less than a head": b"\x00" * 9,
        "message format 1": wire.batch(magic=1),
        "message format 0": wire.batch(magic=0),
        "a format of the future": wire.batch(magic=3),
        "two batches": wire.batch() + wire.batch(),
        "a control batch": wire.batch(attributes=0x20),
        "an unknown compression": wire.batch(attributes=7),
        "noise": random.Random(3).randbytes(500),
    }
    with kafka() as broker, bounded(broker):
        topic, codes = create(broker, "lied-to"), {}
        for name, records in lies.items():
            answer = wire.ask(broker, wire.produce(topic, records))
            codes[name] = answer and wire.produced(answer)[0]
        taken = [name for name, code in codes.items() if code == 0]
        assert not taken, taken
        for name in ("a wrong checksum", "a flipped byte"):
            assert codes[name] == wire.CORRUPT_MESSAGE, codes
        assert read(broker, topic) == []
        assert wire.produced(wire.ask(broker, wire.produce(topic, wire.batch()))) == (0, 0)
        assert len(read(broker, topic)) == 3
        return ", ".join(f"{name}: {'closed' if code is None else code}" for name, code in codes.items())


def claim_compressed_batches_that_lie_harm_nobody():
    with kafka() as broker, bounded(broker), Honest(broker):
        topic = create(broker, "bombs")
        for codec in (1, 2, 3, 4):
            for content in (b"", b"\x00" * 10, random.Random(codec).randbytes(300), b"\xff" * 300):
                wire.ask(broker, wire.produce(topic, wire.batch([content], count=1 << 20, last=(1 << 20) - 1, attributes=codec)))
        if TARGET == "needletail":
            # Nobody inside chokes on what may have been stored untouched.
            broker.cli("consume", topic, "--format", "raw", "--idle", "500 ms", check=False)
            broker.cli("topic", "describe", topic)
        fresh = create(broker, "after")
        produce(broker, fresh, [b"fine"], partition=0)


def hostile_bytes(topic):
    """Length bombs, counts that lie, floods of tagged fields, requests that end too early, noise."""
    name = wire.text(topic.encode())
    noise = random.Random(11)
    yield from (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(100),
        struct.pack(">i", -1) + b"\x00" * 64, struct.pack(">i", 0) + b"\x00" * 64, struct.pack(">i", 3) + b"abc",
        struct.pack(">i", 0x7FFFFFFF) + b"\x00" * 64, struct.pack(">i", 10) + b"\x00" * 10,
        struct.pack(">ihhih", 10, wire.METADATA, 1, 1, 30000), struct.pack(">ihhih", 10, wire.METADATA, 1, 1, -2),
        # Counts and lengths that lie.
        wire.request(wire.METADATA, 1, struct.pack(">i", 0x7FFFFFFF)), wire.request(wire.METADATA, 1, struct.pack(">i", -7)),
        wire.request(wire.METADATA, 1, struct.pack(">ih", 1, 30000)), wire.request(wire.METADATA, 1, struct.pack(">ih", 1, -3)),
        wire.request(wire.METADATA, 9, wire.varint(1 << 31), tags=b"\x00"), wire.request(wire.METADATA, 9, b"\xff" * 12, tags=b"\x00"),
        wire.request(wire.METADATA, 9, wire.varint(2) + wire.varint(1 << 30), tags=b"\x00"),
        wire.request(wire.FETCH, 4, struct.pack(">iiiibi", -1, 500, 1, 1 << 20, 0, 0x7FFFFFFF)),
        wire.request(wire.FETCH, 4, struct.pack(">iiiibi", -1, 500, 1, 1 << 20, 0, 1) + name + struct.pack(">i", 0x7FFFFFFF)),
        wire.request(wire.LIST_OFFSETS, 1, struct.pack(">ii", -1, 0x7FFFFFFF)),
        wire.request(wire.JOIN_GROUP, 1, wire.text(b"g") + struct.pack(">ii", 6000, 6000) + wire.text(b"") + wire.text(b"consumer") + struct.pack(">i", 1 << 30)),
        wire.produce(topic, b"", size=0x7FFFFFFF), wire.produce(topic, b"", size=-9), wire.produce(topic, wire.batch(), size=20),
        # Floods of tagged fields.
        wire.request(wire.API_VERSIONS, 3, b"\x01\x01\x00", tags=wire.varint(1 << 31)),
        wire.request(wire.API_VERSIONS, 3, b"\x01\x01" + wire.varint(200_000) + b"".join(wire.varint(n) + b"\x00" for n in range(200_000)), tags=b"\x00"),
        wire.request(wire.API_VERSIONS, 3, b"\x01\x01\x00", tags=wire.varint(200_000) + b"".join(wire.varint(n) + b"\x00" for n in range(200_000))),
        wire.request(wire.METADATA, 9, b"\x01\x01\x00\x00" + wire.varint(3) + b"\x00" + wire.varint(1 << 30), tags=b"\x00"),
    )
    yield from (noise.randbytes(noise.randint(1, 4000)) for _ in range(150))
    # Of valid requests one bit at a time is wrong, and each of them ends early.
    valid = wire.request(wire.METADATA, 1, struct.pack(">i", 1) + name) + wire.produce(topic, wire.batch()) + wire.request(wire.API_VERSIONS, 3, b"\x05kcat\x021\x00", tags=b"\x00")
    for at in range(len(valid)):
        broken = bytearray(valid)
        broken[at] ^= 1 << (at % 8)
        yield bytes(broken)
    for end in range(1, len(valid), 3):
        yield valid[:end]
    # Requests of every kind with noise for a body.
    for key in range(93):
        for version in range(3):
            yield wire.request(key, version, noise.randbytes(noise.randint(0, 60)))


def claim_hostile_bytes_end_only_their_own_connection():
    with kafka() as broker:
        topic, count = create(broker, "prey"), 0
        with bounded(broker), Honest(broker) as honest:
            for data in hostile_bytes(topic):
                wire.poke(broker, data)
                count += 1
        return f"{count} hostile connections beside {honest.count} honest messages"


def claim_promises_of_large_requests_take_no_memory():
    only_needletail("Apache Kafka takes the memory at once, and was seen to die of it")
    with kafka() as broker, bounded(broker), Honest(broker), contextlib.ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(wire.connect(broker))
            connection.sendall(struct.pack(">i", 60 << 20) + b"\x00\x00\x00\x03\x00\x00\x00\x01" + wire.text(b"slow"))
        time.sleep(1)


def claim_peers_that_ask_and_never_read_are_bounded():
    with kafka() as broker, contextlib.ExitStack() as stack:
        topic = create(broker, "unread")
        produce(broker, topic, [bytes(1000)] * 20_000, partition=0, compression_type="none")
        with bounded(broker, 200), Honest(broker):
            fetch = struct.pack(">iiiibi", -1, 0, 1, 50 << 20, 0, 1) + wire.text(topic.encode()) + struct.pack(">iiqi", 1, 0, 0, 50 << 20)
            for _ in range(30):
                connection = stack.enter_context(wire.connect(broker))
                connection.settimeout(2)
                with contextlib.suppress(OSError):
                    connection.sendall(b"".join(wire.request(wire.FETCH, 4, fetch, n) for n in range(100)))
            time.sleep(2)


def claim_members_that_vanish_do_not_block_their_group():
    with kafka() as broker:
        topic, group = create(broker, "vanished", 3), unique("vanished")
        produce(broker, topic, [b"x"] * 30)
        protocol = struct.pack(">i", 1) + wire.text(b"range") + struct.pack(">i", 20) + struct.pack(">hi", 0, 1) + wire.text(topic.encode()[:4]) + b"\x00" * 8
        with bounded(broker):
            for n in range(100):
                with wire.connect(broker) as connection:
                    body = wire.text(group.encode()) + struct.pack(">ii", 6000, 6000) + wire.text(b"") + wire.text(b"consumer") + protocol
                    connection.sendall(wire.request(wire.JOIN_GROUP, 2, body, n))
            reader = consumer(broker, group_id=group)
            reader.subscribe([topic])
            assert len(poll_until(reader, 30)) == 30
            reader.close()


def claim_a_writer_that_waits_for_nothing_is_told_by_the_end_of_its_connection():
    with kafka() as broker, wire.connect(broker) as connection:
        # With acks=0 there is no answer in which to say no.
        connection.sendall(wire.produce(create(broker, "small", max_message_bytes=1000), wire.batch([wire.record(b"z" * 5000)]), acks=0))
        connection.settimeout(90)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def claim_the_last_words_of_a_writer_without_acknowledgements_are_stored():
    with kafka() as broker:
        topic, expected = create(broker, "lastwords"), sorted(b"%d" % n for n in range(20))
        for value in expected:
            # The topic is new to each connection, which is over before its number can have been looked up.
            with wire.connect(broker) as connection:
                connection.sendall(wire.produce(topic, wire.batch([wire.record(value)]), acks=0))
        deadline = time.monotonic() + 120
        while (found := sorted(message.value() for message in read(broker, topic))) != expected:
            assert time.monotonic() < deadline, f"{len(found)} of {len(expected)}: {found}"


def claim_the_oldest_ways_to_write_are_refused_by_code():
    only_needletail("Apache Kafka 4 closes the connection")
    with kafka() as broker:
        topic = create(broker, "ancient")
        for version in (0, 1, 2):
            for records in (wire.batch(magic=0), wire.batch(magic=1), wire.batch()):
                error, _ = wire.produced(wire.ask(broker, wire.produce(topic, records, version=version)))
                assert error in (wire.UNSUPPORTED_VERSION, wire.UNSUPPORTED_FORMAT), error
        assert read(broker, topic) == []
