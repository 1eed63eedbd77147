"""What the clients of growth.py do: publish batches, take and settle them, fetch; every answer is held against what was sent."""
import collections
import select
import socket
import struct

import native

BATCH, SIZE, WINDOW = 500, 100, 16
CONTENT = native.make_batch([bytes((index * 7 + at) & 0xFF for at in range(SIZE)) for index in range(BATCH)])


def wire(kind, body, flags=0):
    return struct.pack("<IBBHQ", 16 + len(body), kind, flags, 0, 1) + body


def publish(topic):
    """A frame with one batch."""
    return wire(native.PUBLISH_BATCH, struct.pack("<IiBBH", topic, 0, 0, 0, 0) + CONTENT)


def exactly(connection, count):
    data = connection.recv(count, socket.MSG_WAITALL)
    while len(data) < count:
        more = connection.recv(count - len(data), socket.MSG_WAITALL)
        if not more:
            raise ConnectionError("the broker closed")
        data += more
    return data


def open_connections(broker, count):
    opened = []
    for _ in range(count):
        client = native.connect(broker, max_frame=8 << 20)
        client.socket.settimeout(60)
        opened.append(client.socket)
    return opened


def make_topics(broker, count, **options):
    """Their ids."""
    ids = []
    with native.connect(broker) as client:
        for start in range(0, count, 500):
            asked = [client.send(native.CREATE_TOPIC, native.text(f"t-{n}") + native.topic_options(**options)) for n in range(start, min(count, start + 500))]
            ids += [native.Reader(client.answer(one, native.TOPICS)).list(native.read_topic)[0]["id"] for one in asked]
    return ids


def stored(broker):
    """How many messages all logs have together."""
    with native.connect(broker, max_frame=64 << 20) as client:
        client.socket.settimeout(120)
        return sum(part["end"] for topic in client.topics(native.LIST_TOPICS) for part in topic["partitions"])


def publish_all(connections, topics, batches):
    """So many batches, to each topic in turn, over each connection in turn; all acknowledged."""
    frames = [publish(topic) for topic in topics] if len(topics) <= 100 else None
    waiting = collections.deque()

    def take():
        answer = exactly(waiting.popleft(), 44)
        if answer[4] != native.PUBLISHED:
            raise RuntimeError(f"a publish was answered with {answer!r}")

    for number in range(batches):
        connection = connections[number % len(connections)]
        connection.sendall(frames[number % len(frames)] if frames else publish(topics[number % len(topics)]))
        waiting.append(connection)
        if len(waiting) == WINDOW:
            take()
    while waiting:
        take()


class Queue:
    """A queue with competing consumers, one connection each."""

    CREDIT = 20_000

    def __init__(self, broker, count):
        self.publisher = open_connections(broker, 1)[0]
        self.topic = make_topics(broker, 1, queue=True, until_acknowledged=True)[0]
        self.sockets, self.rest, self.owed = {}, {}, {}
        self.poll = select.epoll()
        for _ in range(count):
            client = native.connect(broker, max_frame=8 << 20)
            client.subscribe(1, "t-0", "queue", native.SHARED, form=0, messages=self.CREDIT, size=8 << 20)
            self.sockets[client.socket.fileno()] = client.socket
            self.poll.register(client.socket.fileno(), select.EPOLLIN)
        self.taken = []

    def run(self, batches):
        """Publishes so many, and returns when all are delivered and settled."""
        frame, sent, got, acknowledged = publish(self.topic), 0, 0, 0
        self.publisher.setblocking(True)
        while got < batches * BATCH:
            while sent < batches and sent * BATCH - got < WINDOW * BATCH:
                self.publisher.sendall(frame)
                sent += 1
            for number, _ in self.poll.poll(30):
                got += self.take(number)
        while acknowledged < sent:
            if exactly(self.publisher, 44)[4] != native.PUBLISHED:
                raise RuntimeError("a publish was refused")
            acknowledged += 1

    def take(self, number):
        connection = self.sockets[number]
        data = self.rest.pop(number, b"") + connection.recv(1 << 20)
        at = messages = 0
        ranges, size = [], 0
        while at + 16 <= len(data):
            length, kind = struct.unpack_from("<IB", data, at)
            if at + length > len(data):
                break
            if kind != native.DELIVER_BATCHES:
                raise RuntimeError(f"a consumer was sent a frame of kind {kind:#x}")
            first, last = struct.unpack_from("<qq", data, at + 32)
            ranges.append(struct.pack("<iB3xqq", 0, native.ACCEPT, first, last))
            self.taken.append((first, last))
            messages += last - first + 1
            size += length - 48
            at += length
        if at < len(data):
            self.rest[number] = data[at:]
        if ranges:
            answer = wire(native.SETTLE, struct.pack("<II", 1, len(ranges)) + b"".join(ranges))
            owed, bytes_owed = self.owed.get(number, (0, 0))
            self.owed[number] = owed, bytes_owed = owed + messages, bytes_owed + size
            if owed > self.CREDIT // 4 or bytes_owed > 2 << 20:
                answer += wire(native.CREDIT, struct.pack("<Iiq", 1, owed, bytes_owed))
                self.owed[number] = 0, 0
            connection.sendall(answer)
        return messages

    def check(self, messages):
        """Every message to exactly one consumer."""
        end = 0
        for first, last in sorted(self.taken):
            if first != end:
                raise RuntimeError(f"offset {min(first, end)} was delivered {'twice' if first < end else 'to nobody'}")
            end = last + 1
        if end != messages:
            raise RuntimeError(f"{end} of {messages} messages were delivered")


def read_all(connection, topic, batches, places):
    """So many fetches of one batch each."""
    for _ in range(batches):
        offset = next(places) * BATCH
        connection.sendall(wire(native.FETCH, struct.pack("<IiqiiI", topic, 0, offset, len(CONTENT), 1, 0)))
        length, kind = struct.unpack_from("<IB", head := exactly(connection, 16))
        body = exactly(connection, length - 16)
        if kind != native.FETCHED or struct.unpack_from(">q", body, 24)[0] != offset or len(body) != 24 + len(CONTENT):
            raise RuntimeError(f"a fetch of {offset} was answered with {len(body)} bytes of kind {kind:#x} {head!r}")
