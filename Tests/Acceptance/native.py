"""A client of the native protocol, written from docs/formats/native-protocol.md alone: the oracle of its codec and its session."""
import socket
import struct
import time

HELLO, WELCOME, PING, PONG, ERROR, OK, COUNT = 1, 2, 3, 4, 5, 6, 7
PUBLISH, PUBLISH_BATCH, PUBLISHED, START_PRODUCER, PRODUCER = 0x10, 0x11, 0x12, 0x13, 0x14
FETCH, FETCHED, FIND_OFFSET, OFFSET = 0x20, 0x21, 0x22, 0x23
SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, CREDIT, DELIVER_BATCHES, DELIVER_RECORDS = 0x30, 0x31, 0x32, 0x33, 0x34, 0x35
SETTLE, EXTEND_LEASE, CONSUMER_EVENT, SEEK, DELETE_SUBSCRIPTION, LIST_SUBSCRIPTIONS, SUBSCRIPTIONS = 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C
CREATE_TOPIC, ALTER_TOPIC, DELETE_TOPIC, DESCRIBE_TOPIC, LIST_TOPICS, TOPICS, CREATE_REPLY_TOPIC = 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46
CREATE_EXCHANGE, DELETE_EXCHANGE, BIND, UNBIND, LIST_EXCHANGES, FIND_EXCHANGE, EXCHANGES = 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E
PURGE, REDRIVE, STATISTICS, FIGURES = 0x50, 0x51, 0x52, 0x53

UNSOLICITED = (DELIVER_BATCHES, DELIVER_RECORDS, CONSUMER_EVENT)
NONE64, NONE32 = -(1 << 63), -(1 << 31)
EARLIEST, LATEST = struct.pack("<B3xq", 0, 0), struct.pack("<B3xq", 1, 0)
ACCEPT, REQUEUE, REJECT, RELEASE = 0, 1, 2, 3
EXCLUSIVE, SHARED, BROADCAST = 0, 1, 2


def at_offset(offset):
    return struct.pack("<B3xq", 2, offset)


def at_time(milliseconds):
    return struct.pack("<B3xq", 3, milliseconds)


def text(value):
    if value is None:
        return b"\xff\xff"
    data = value.encode()
    return struct.pack("<H", len(data)) + data


def optional(value, form="q"):
    return struct.pack("<" + form, (NONE64 if form == "q" else NONE32) if value is None else value)


def subscription_options(lease=None, limit=None, dead_letter=None):
    return optional(lease) + optional(limit, "i") + text(dead_letter)


def topic_options(partitions=1, memory=False, durability=0xFF, until_acknowledged=False, queue=False, lease=None, limit=None, dead_letter=None):
    head = struct.pack("<iBBBB", partitions, memory, durability, until_acknowledged, queue)
    return head + optional(None) * 5 + subscription_options(lease, limit, dead_letter)


class Refused(Exception):
    def __init__(self, code, fatal, message):
        super().__init__(f"{code}{' (fatal)' if fatal else ''}: {message}")
        self.code, self.fatal = code, fatal


class Reader:
    """Reads fields; the whole frame must be understood."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]

    def text(self):
        length = self.take("H")
        if length == 0xFFFF:
            return None
        return self.bytes(length).decode()

    def bytes(self, count):
        assert self.at + count <= len(self.data)
        self.at += count
        return self.data[self.at - count : self.at]

    def rest(self):
        return self.bytes(len(self.data) - self.at)

    def list(self, element):
        return [element(self) for _ in range(self.take("I"))]

    def end(self):
        assert self.at == len(self.data), f"{len(self.data) - self.at} bytes left over"


class Native:
    """One connection that has said hello."""

    def __init__(self, connection, max_frame=1 << 24, name="python"):
        self.socket = connection
        self.socket.settimeout(90)
        self.correlation = 0
        # What has come, and where the next frame begins in it.
        self.buffer, self.at = b"", 0
        self.deliveries, self.events, self.answers = [], [], {}
        self.send(HELLO, b"NTAIL\r\n\x1a" + struct.pack("<HHIQ", 1, 1, max_frame, 0) + text(name))
        reader = Reader(self.answer(self.correlation, WELCOME))
        self.version, self.features, self.max_frame, self.max_message, self.max_unanswered, self.max_consumers, self.node, self.shards = reader.take("H6xQIIIIii")
        self.server, self.server_version = reader.text(), reader.text()
        reader.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # Frames

    def frame(self, kind, body=b"", flags=0):
        self.correlation += 1
        return struct.pack("<IBBHQ", 16 + len(body), kind, flags, 0, self.correlation) + body

    def send(self, kind, body=b"", flags=0):
        self.socket.sendall(self.frame(kind, body, flags))
        return self.correlation

    def receive(self):
        """Reads one frame and puts it where it belongs."""
        while len(self.buffer) - self.at < 16 or len(self.buffer) - self.at < struct.unpack_from("<I", self.buffer, self.at)[0]:
            more = self.socket.recv(1 << 20)
            if not more:
                raise ConnectionError("the server closed")
            self.buffer, self.at = self.buffer[self.at :] + more, 0
        size, kind, flags, reserved, correlation = struct.unpack_from("<IBBHQ", self.buffer, self.at)
        body = self.buffer[self.at + 16 : self.at + size]
        self.at += size
        assert reserved == 0
        if kind in (DELIVER_BATCHES, DELIVER_RECORDS):
            assert correlation == 0
            self.deliveries.append(Delivery(kind, flags, body))
        elif kind == CONSUMER_EVENT:
            assert correlation == 0
            reader = Reader(body)
            consumer, event, code = reader.take("IBxH")
            self.events.append((consumer, event, code, reader.text()))
            reader.end()
        else:
            self.answers.setdefault(correlation, []).append((kind, flags, body))

    def answer(self, correlation, expected):
        """The body of the answer; of a list in parts all of them."""
        while not self.answers.get(correlation):
            if self.answers.get(0):
                self.refuse(self.answers[0][0][2])
            self.receive()
        kind, flags, body = self.answers[correlation].pop(0)
        if kind == ERROR:
            self.refuse(body)
        assert kind == expected, f"answered with {kind:#x} instead of {expected:#x}"
        assert flags == 0 or kind in (TOPICS, EXCHANGES, SUBSCRIPTIONS, FIGURES)
        if flags:
            rest = self.answer(correlation, expected)
            count = struct.unpack_from("<I", body)[0] + struct.unpack_from("<I", rest)[0]
            return struct.pack("<I", count) + body[4:] + rest[4:]
        return body

    def refuse(self, body):
        reader = Reader(body)
        code, fatal = reader.take("HBx")
        message = reader.text()
        reader.end()
        raise Refused(code, fatal, message)

    def call(self, kind, body, expected, flags=0):
        return Reader(self.answer(self.send(kind, body, flags), expected))

    def ok(self, kind, body=b"", flags=0):
        self.call(kind, body, OK, flags).end()

    # Topics

    def create(self, name, **options):
        return self.topics(CREATE_TOPIC, text(name) + topic_options(**options))[0]

    def describe(self, name):
        return self.topics(DESCRIBE_TOPIC, text(name))[0]

    def topics(self, kind, body=b""):
        reader = self.call(kind, body, TOPICS)
        topics = reader.list(read_topic)
        reader.end()
        return topics

    # Publishing

    def publish_body(self, topic, payload=b"", key=None, headers=(), partition=-1, durability=0, timestamp=None, producer=(-1, -1, -1), routing=None):
        head = b"".join(varint(len(name)) + name + (varint(-1) if value is None else varint(len(value)) + value) for name, value in headers)
        routing_key = b"" if routing is None else routing.encode()
        fixed = struct.pack(
            "<IiBBHiIiHhiqq", topic, partition, durability, 0, len(routing_key), -1 if key is None else len(key), len(head),
            -1 if payload is None else len(payload), len(headers), producer[1], producer[2], NONE64 if timestamp is None else timestamp, producer[0])
        assert len(fixed) == 48
        return fixed + routing_key + (key or b"") + head + (payload or b"")

    def publish(self, topic, payload=b"", flags=0, **more):
        flags |= 1 if more.get("routing") is not None else 0
        return read_published(self.call(PUBLISH, self.publish_body(topic, payload, **more), PUBLISHED, flags))

    def publish_batch(self, topic, batch, partition=0, durability=0, routing=None):
        routing_key = b"" if routing is None else routing.encode()
        body = struct.pack("<IiBBH", topic, partition if routing is None else -1, durability, 0, len(routing_key)) + routing_key + batch
        return read_published(self.call(PUBLISH_BATCH, body, PUBLISHED, 0 if routing is None else 1))

    # Reading

    def fetch(self, topic, offset, partition=0, max_bytes=1 << 20, min_bytes=0, wait=0):
        reader = self.call(FETCH, struct.pack("<IiqiiI", topic, partition, offset, max_bytes, min_bytes, wait), FETCHED)
        assert reader.take("Ii") == (topic, partition)
        start, end = reader.take("qq")
        return start, end, reader.rest()

    def subscribe(self, consumer, topic, name="", mode=SHARED, form=1, start=EARLIEST, messages=1000, size=1 << 20, flags=0, **options):
        body = struct.pack("<IBBxx", consumer, mode, form) + start + struct.pack("<iq", messages, size)
        reader = self.call(SUBSCRIBE, body + subscription_options(**options) + text(topic) + text(name), SUBSCRIBED, flags)
        subscription, active = reader.take("IB")
        reader.end()
        return subscription, bool(active)

    def credit(self, consumer, messages, size=1 << 20):
        self.send(CREDIT, struct.pack("<Iiq", consumer, messages, size))

    def settle(self, consumer, ranges, confirm=True):
        body = struct.pack("<II", consumer, len(ranges)) + b"".join(struct.pack("<iB3xqq", *one) for one in ranges)
        if confirm:
            self.ok(SETTLE, body, 1)
        else:
            self.send(SETTLE, body)

    def records(self, count, settle=None, timeout=90):
        """The next `count` records that are delivered, as (delivery, record); settled as they come when asked for."""
        records = []
        deadline = time.monotonic() + timeout
        while len(records) < count:
            while not self.deliveries:
                assert time.monotonic() < deadline, f"{len(records)} of {count} records came"
                self.receive()
            delivery = self.deliveries.pop(0)
            records += [(delivery, record) for record in delivery.records]
            if settle is not None:
                self.settle(delivery.consumer, [(delivery.partition, settle, delivery.first, delivery.last)])
        return records

    def is_quiet(self):
        """Whether nothing more is delivered by the time that PING is answered, twice."""
        for _ in range(2):
            self.call(PING, b"", PONG).end()
            time.sleep(0.1)
        return not self.deliveries


class Delivery:
    def __init__(self, kind, flags, body):
        assert flags in (0, 1)
        reader = Reader(body)
        self.is_redelivery = flags == 1
        self.consumer, self.topic, self.partition, self.attempt, self.first, self.last = reader.take("IIiiqq")
        if kind == DELIVER_RECORDS:
            base, timestamp = reader.take("qq")
            shown = []
            while reader.at < len(body):
                shown.append(read_record(reader, base, timestamp))
        else:
            shown = read_batches(reader.rest())
        self.records = [record for record in shown if self.first <= record.offset <= self.last]
        assert [record.offset for record in self.records] == list(range(self.first, self.last + 1))


def read_topic(reader):
    topic = {"id": reader.take("I"), "name": reader.text()}
    topic["partitions_wanted"], topic["storage"], topic["durability"], topic["until_acknowledged"], topic["queue"] = reader.take("iBBBB")
    topic["numbers"] = reader.take("qqqqq")
    topic["lease"], topic["limit"], topic["dead_letter"] = reader.take("q"), reader.take("i"), reader.text()
    topic["partitions"] = reader.list(lambda r: dict(zip(("index", "segments", "start", "flushed", "end", "bytes"), r.take("iiqqqq"))) | {"fault": r.text()})
    return topic


def read_published(reader):
    names = ("topic", "partition", "offset", "count", "logs", "reached", "duplicate")
    published = dict(zip(names, reader.take("IiqiiBB")))
    assert reader.take("H") == 0
    reader.end()
    return published


# Kafka's record batch v2


class Record:
    def __init__(self, offset, timestamp, key, value, headers):
        self.offset, self.timestamp, self.key, self.value, self.headers = offset, timestamp, key, value, headers


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(reader):
    value = shift = 0
    while True:
        byte = reader.take("B")
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return (value >> 1) ^ -(value & 1)


def read_nullable(reader):
    length = read_varint(reader)
    return None if length < 0 else reader.bytes(length)


def read_record(reader, base, timestamp):
    length = read_varint(reader)
    end = reader.at + length
    reader.take("b")
    timestamp += read_varint(reader)
    offset = base + read_varint(reader)
    key, value = read_nullable(reader), read_nullable(reader)
    headers = [(read_nullable(reader), read_nullable(reader)) for _ in range(read_varint(reader))]
    assert reader.at == end
    return Record(offset, timestamp, key, value, headers)


def read_batches(data):
    records = []
    reader = Reader(data)
    while reader.at < len(data):
        base, length = struct.unpack_from(">qi", data, reader.at)
        body = data[reader.at + 12 : reader.at + 12 + length]
        assert len(body) == length, "a batch is cut"
        _, magic, crc = struct.unpack_from(">ibI", body)
        assert magic == 2 and crc == crc32c(body[9:])
        _, _, first_time, _, _, _, _, count = struct.unpack_from(">hiqqqhii", body, 9)
        inner = Reader(body)
        inner.at = 49
        records += [read_record(inner, base, first_time) for _ in range(count)]
        inner.end()
        reader.at += 12 + length
    return records


def make_batch(values, timestamp=1_700_000_000_000, producer=(-1, -1, -1)):
    """A batch of values, or of (key, value, headers)."""
    body = b""
    for index, value in enumerate(values):
        key, value, headers = value if isinstance(value, tuple) else (None, value, [])
        record = b"\0" + varint(0) + varint(index)
        for part in (key, value):
            record += varint(-1) if part is None else varint(len(part)) + part
        record += varint(len(headers)) + b"".join(varint(len(name)) + name + varint(len(text)) + text for name, text in headers)
        body += varint(len(record)) + record
    checked = struct.pack(">hiqqqhii", 0, len(values) - 1, timestamp, timestamp, producer[0], producer[1], producer[2], len(values)) + body
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, crc32c(checked)) + checked


def crc_table():
    for index in range(256):
        for _ in range(8):
            index = index >> 1 ^ (0x82F63B78 if index & 1 else 0)
        yield index


CRC = tuple(crc_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283


def connect(broker, **more):
    connection = broker.connect()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Native(connection, **more)
