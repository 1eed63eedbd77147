"""Kafka's protocol by hand: as much of it as is needed to break its rules on purpose."""
import contextlib
import socket
import struct

import crc32c

PRODUCE, FETCH, LIST_OFFSETS, METADATA, JOIN_GROUP, API_VERSIONS = 0, 1, 2, 3, 11, 18
CORRUPT_MESSAGE, UNSUPPORTED_VERSION, UNSUPPORTED_FORMAT, INVALID_RECORD = 2, 35, 43, 87


def text(value):
    return struct.pack(">h", len(value)) + value


def varint(value):
    """Unsigned, as lengths and counts of flexible messages are written."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def zigzag(value):
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def request(key, version, body=b"", correlation=1, tags=None, client=b"hostile"):
    """A request with its size in front; `tags` make its header a flexible one."""
    head = struct.pack(">hhi", key, version, correlation) + text(client) + (tags if tags is not None else b"")
    return struct.pack(">i", len(head) + len(body)) + head + body


def record(value=b"value", key=b"key", delta=0, length=None, headers=b"\x00"):
    body = b"\x00" + zigzag(0) + zigzag(delta) + zigzag(len(key)) + key + zigzag(len(value)) + value + headers
    return zigzag(len(body) if length is None else length) + body


def batch(records=None, count=None, last=None, magic=2, crc=None, size=None, attributes=0, producer=-1, epoch=-1, sequence=-1, stamp=1_700_000_000_000, base=0):
    """A record batch in which everything may be said wrongly."""
    records = [record(delta=n) for n in range(3)] if records is None else records
    count = len(records) if count is None else count
    last = count - 1 if last is None else last
    tail = struct.pack(">hiqqqhii", attributes, last, stamp, stamp, producer, epoch, sequence, count) + b"".join(records)
    check = crc32c.crc32c(tail) if crc is None else crc
    body = struct.pack(">ibI", 0, magic, check) + tail
    return struct.pack(">qi", base, len(body) if size is None else size) + body


def produce(topic, records, version=3, acks=-1, partition=0, size=None, correlation=1):
    """A request to write to one partition. `size` lies about the length of the records."""
    body = (struct.pack(">h", -1) if version >= 3 else b"") + struct.pack(">hi", acks, 10_000) + struct.pack(">i", 1) + text(topic.encode())
    body += struct.pack(">iii", 1, partition, len(records) if size is None else size) + records
    return request(PRODUCE, version, body, correlation)


def produced(response):
    """The error code in the answer to `produce`, and the offset."""
    assert struct.unpack_from(">i", response, 4)[0] == 1
    length = struct.unpack_from(">h", response, 8)[0]
    _, _, error, offset = struct.unpack_from(">iihq", response, 10 + length)
    return error, offset


def connect(broker):
    connection = socket.create_connection(("127.0.0.1", broker.kafka_port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def response(connection):
    """The next response without its size: correlation number, then the body."""
    size = struct.unpack(">i", exactly(connection, 4))[0]
    return exactly(connection, size)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError(f"ended after {len(data)} of {count} bytes")
        data += more
    return data


def ask(broker, data):
    """What is answered to one request on a connection of its own; None where the connection is closed instead."""
    with connect(broker) as connection:
        try:
            connection.sendall(data)
            return response(connection)
        except ConnectionError:
            return None


def poke(broker, data):
    """Sends bytes, reads what comes back, and is gone; some of them are requests that may rightly be waited for."""
    with connect(broker) as connection, contextlib.suppress(OSError):
        connection.settimeout(0.5)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        total = 0
        while more := connection.recv(1 << 16):
            total += len(more)
            assert total < 4 << 20, "an endless answer"
