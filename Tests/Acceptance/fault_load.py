"""What is going on in a broker while its power is cut or its disk fails: publishers of every durability, a queue with workers, topics that
come and go, offsets that a Kafka group commits. Every client says what it was told, into the disk's trace (`mark`).

Each record carries its number twice, at its beginning and its end, so that it can be found in what was written to the disk. Publishers
are idempotent and repeat what was not answered, so whatever happens a log holds the numbers 0, 1, 2 … in order, and no other.

    a LOG LIFE NUMBER COUNT OFFSET   acknowledged              s OUTCOME NUMBER, S …   about to settle; settled, confirmed
    d LIFE NUMBER AGAIN WORKER       delivered to a worker     t+ N, T+ N, t- N, T- N  about to make a topic; made; to delete; deleted
    v LOG COUNT                      the next life begins      o N, O N                about to commit an offset; committed
    r LOG COUNT                      read by a consumer        w WORKER               a worker is about to subscribe"""
import itertools
import random
import re
import socket
import struct
import threading
import time

import native
from broker import Broker

try:
    import confluent_kafka
except ImportError:
    confluent_kafka = None

NONE, INTERVAL, GROUP, EACH = 0, 1, 2, 3
# Letter: the topic's durability, how large its segments grow, and who publishes how much at a time.
LOGS = {
    "g": (GROUP, 64 << 10, "single", 8),
    "b": (GROUP, 256 << 10, "batch", 3),
    "e": (EACH, 64 << 10, "single", 3),
    "i": (INTERVAL, 64 << 10, "single", 8),
    "k": (GROUP, 128 << 10, "kafka", 0),
    "n": (NONE, 64 << 10, "single", 8),
}
QUEUE, DEAD = "q", "x"
FLUSH_INTERVAL = 0.2
OUTCOMES = {native.ACCEPT: "accept", native.REJECT: "reject", native.REQUEUE: "requeue"}
TAG = re.compile(rb"<([a-z])(\d):(\d{9})>")
GROUP_NAME = b"places"
ENDED = (ConnectionError, TimeoutError, OSError)


def tag(log, life, number):
    return b"<%s%d:%09d>" % (log.encode(), life, number)


def payload(log, life, number, chance):
    size = chance.choice((0, 30, 200, 200, 700, 3000))
    mark = tag(log, life, number)
    return mark + b"%c" % (33 + number % 90) * size + mark


def quiet_port(count):
    """Ports that nobody has and that no client is given by chance while the broker is down."""
    while True:
        first = random.randrange(10_000, 32_000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


class Target(Broker):
    """A broker on a disk that fails. Its native listener is a unix socket, so that many can start at a time."""

    def __init__(self, data, driver, shards=1, kafka=True, durability=None):
        super().__init__(data=data)
        self.driver, self.shard_count = driver, shards
        self.kafka_port = quiet_port(shards) if kafka else None
        config = self.home / "config.yaml"
        config.write_text(f"topics:\n  flush_interval: {int(FLUSH_INTERVAL * 1000)} ms\nqueues:\n  set_aside_after: 3\n")
        self.flags = ("--config", config, *(("--listen", f"kafka=127.0.0.1:{self.kafka_port}") if kafka else ()))

    @property
    def server(self):
        return f"unix:{self.home}/socket"

    def shards(self):
        return ["--shards", str(self.shard_count)]

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(f"{self.home}/socket")
        return connection

    def client(self):
        client = native.Native(self.connect(), name="fault")
        client.socket.settimeout(120)
        return client


class OffsetClient:
    """Commits and fetches one group's offset of partition 0 of one topic, by hand."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def ask(self, key, version, body):
        head = struct.pack(">hhi", key, version, 1) + self.text(b"fault")
        self.socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        size = struct.unpack(">i", self.exactly(4))[0]
        return self.exactly(size)[4:]

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the broker closed")
            data += more
        return data

    @staticmethod
    def text(value):
        return struct.pack(">h", len(value)) + value

    def commit(self, topic, offset):
        body = self.text(GROUP_NAME) + struct.pack(">i", -1) + self.text(b"") + struct.pack(">q", -1)
        body += struct.pack(">i", 1) + self.text(topic) + struct.pack(">iiqh", 1, 0, offset, -1)
        return struct.unpack(">h", self.ask(8, 2, body)[-2:])[0]

    def fetch(self, topic):
        """The committed offset, -1 where there is none, and the error code."""
        answer = self.ask(9, 1, self.text(GROUP_NAME) + struct.pack(">i", 1) + self.text(topic) + struct.pack(">ii", 1, 0))
        at = 4 + 2 + len(topic) + 4
        _, offset, size = struct.unpack_from(">iqh", answer, at)
        return offset, struct.unpack_from(">h", answer, at + 14 + max(size, 0))[0]

    def close(self):
        self.socket.close()


class Load:
    """Clients, each in a thread. `mark` takes what they were told; `life` tells the records of one run from those of the next."""

    def __init__(self, broker, mark, chance, logs="gbeikn", life=1):
        self.broker, self.mark, self.chance, self.life = broker, mark, chance, life
        self.logs = [log for log in logs if LOGS[log][2] != "kafka" or confluent_kafka]
        self.stopped, self.failures, self.threads = threading.Event(), [], []
        self.topics = {}
        self.workers = itertools.count()
        # Where the numbers of this life begin, and what was committed so far.
        self.first, self.committed = {log: 0 for log in (*LOGS, QUEUE)}, 0

    def prepare(self):
        """Topics and the queue; those that are there stay."""
        with self.broker.client() as client:
            for log in (*self.logs, DEAD):
                durability, segment = LOGS[log][:2] if log in LOGS else (GROUP, 64 << 10)
                self.make(client, log, segment, durability=durability)
            self.make(client, QUEUE, 32 << 10, durability=GROUP, until_acknowledged=True, queue=True, limit=60_000, dead_letter=DEAD)
        return self

    def make(self, client, name, segment, **options):
        body = native.topic_options(**options)
        # The segment size stands behind the five small fields.
        body = body[:8] + native.optional(segment) + body[16:]
        try:
            self.topics[name] = client.topics(native.CREATE_TOPIC, native.text(name) + body)[0]
        except native.Refused:
            self.topics[name] = client.describe(name)

    def start(self):
        runs = [self.publish_batches if LOGS[log][2] == "batch" else self.publish_kafka if LOGS[log][2] == "kafka" else self.publish for log in self.logs]
        for run, log in zip(runs, self.logs):
            self.begin(run, log)
        self.begin(self.publish, QUEUE)
        self.begin(self.work)
        self.begin(self.churn)
        if self.broker.kafka_port:
            self.begin(self.commit)
        return self

    def begin(self, run, *arguments):
        chance = random.Random(self.chance.random())

        def guarded():
            try:
                run(chance, *arguments)
            except Exception as error:
                if not self.stopped.is_set():
                    self.failures.append(f"{run.__name__} {arguments}: {error!r}")

        self.threads.append(threading.Thread(target=guarded, daemon=True))
        self.threads[-1].start()

    def stop(self):
        """Ends the clients, whatever they still wait for; the broker is best dead by then."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(180)
            assert not thread.is_alive(), "a client hangs"
        assert not self.failures, self.failures

    def connected(self, serve):
        """Calls `serve` with a connection, and again with another when that one breaks."""
        while not self.stopped.is_set():
            try:
                with self.broker.client() as client:
                    serve(client)
            except native.Refused as error:
                # 22: it is shutting down.
                if error.code != 22 and not self.stopped.is_set():
                    raise
            except ENDED:
                time.sleep(0.01)

    # Publishing

    def publish(self, chance, log):
        window = LOGS[log][3] if log in LOGS else 4
        self.publish_in_order(chance, log, window, lambda client, identity, unsent: self.send_single(client, log, identity, unsent), lambda: 1)

    def publish_batches(self, chance, log):
        self.publish_in_order(chance, log, LOGS[log][3], lambda client, identity, unsent: self.send_batch(client, log, identity, unsent), lambda: chance.choice((1, 3, 8, 30)))

    def send_single(self, client, log, identity, unsent):
        first, (content,) = unsent
        body = client.publish_body(self.topics[log]["id"], content, producer=(*identity, first - self.first[log]))
        return client.send(native.PUBLISH, body)

    def send_batch(self, client, log, identity, unsent):
        first, contents = unsent
        batch = native.make_batch(contents, producer=(*identity, first - self.first[log]))
        return client.send(native.PUBLISH_BATCH, struct.pack("<IiBBH", self.topics[log]["id"], 0, 0, 0, 0) + batch)

    def publish_in_order(self, chance, log, window, send, count):
        """A window of unanswered publishes, repeated in their order on the next connection."""
        identity = []
        waiting = []
        number = self.first[log]

        def serve(client):
            nonlocal number
            if not identity:
                reader = client.call(native.START_PRODUCER, struct.pack("<qh", -1, -1), native.PRODUCER)
                identity.extend(reader.take("qh"))
            sent = [(send(client, identity, unsent), unsent) for unsent in waiting]
            while not self.stopped.is_set():
                while len(sent) < window:
                    contents = [payload(log, self.life, number + each, chance) for each in range(count())]
                    waiting.append((number, contents))
                    number += len(contents)
                    sent.append((send(client, identity, waiting[-1]), waiting[-1]))
                correlation, (first, contents) = sent[0]
                published = native.read_published(native.Reader(client.answer(correlation, native.PUBLISHED)))
                self.mark(f"a {log} {self.life} {first} {len(contents)} {published['offset']}")
                sent.pop(0)
                waiting.pop(0)

        self.connected(serve)

    def publish_kafka(self, chance, log):
        number = self.first[log]

        def report(error, message):
            if not error:
                first = int(TAG.match(message.value()).group(3))
                self.mark(f"a {log} {self.life} {first} 1 {message.offset()}")

        settings = {
            "bootstrap.servers": f"127.0.0.1:{self.broker.kafka_port}", "enable.idempotence": True, "linger.ms": 2, "log_level": 0,
            "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20, "message.timeout.ms": 0, "batch.num.messages": 50,
            "topic.metadata.refresh.interval.ms": 1000}
        producer = confluent_kafka.Producer(settings)
        while not self.stopped.is_set():
            if len(producer) < 40:
                producer.produce(log, payload(log, self.life, number, chance), partition=0, on_delivery=report)
                number += 1
            producer.poll(0 if len(producer) < 40 else 0.05)
        producer.purge()
        producer.flush(1)

    # The queue's worker

    def work(self, chance):
        def serve(client):
            worker = f"{self.life}-{next(self.workers)}"
            client.socket.settimeout(0.2)
            self.mark(f"w {worker}")
            client.subscribe(1, QUEUE, "queue", messages=40)
            while not self.stopped.is_set():
                try:
                    client.receive()
                except TimeoutError:
                    continue
                client.socket.settimeout(120)
                while client.deliveries:
                    self.settle(client, client.deliveries.pop(0), chance, worker)
                client.socket.settimeout(0.2)

        self.connected(serve)

    def settle(self, client, delivery, chance, worker):
        numbers = {}
        for record in delivery.records:
            _, life, number = TAG.match(record.value).groups()
            numbers[record.offset] = f"{int(life)} {int(number)}"
        for number in numbers.values():
            self.mark(f"d {number} {int(delivery.is_redelivery)} {worker}")
        for offset, number in numbers.items():
            draw = chance.random()
            outcome = native.ACCEPT if draw < 0.75 else native.REJECT if draw < 0.85 else native.REQUEUE if draw < 0.95 else None
            if outcome is None:
                continue
            self.mark(f"s {OUTCOMES[outcome]} {number}")
            client.settle(1, [(delivery.partition, outcome, offset, offset)])
            self.mark(f"S {OUTCOMES[outcome]} {number}")
        client.credit(1, len(numbers))

    # Readers

    def read(self, chance, log):
        """Follows a log from its beginning, over all restarts: every number once, in order."""
        count = 0

        def serve(client):
            nonlocal count
            while not self.stopped.is_set():
                _, _, data = client.fetch(self.topics[log]["id"], count, min_bytes=1, wait=200)
                tags = TAG.findall(data)[::2]
                # The first batch may begin before what was asked for.
                numbers = [int(number) for _, _, number in tags if int(number) >= count]
                if numbers != list(range(count, count + len(numbers))):
                    raise AssertionError(f"a reader of '{log}' at {count} was given {numbers[:10]}")
                count += len(numbers)
                if numbers:
                    self.mark(f"r {log} {count}")

        self.connected(serve)

    def read_kafka(self, chance, log):
        """A consumer of a group with one member that commits what it has read."""
        settings = {
            "bootstrap.servers": f"127.0.0.1:{self.broker.kafka_port}", "group.id": "kafka-readers", "auto.offset.reset": "earliest", "log_level": 0,
            "enable.auto.commit": False, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 500, "topic.metadata.refresh.interval.ms": 1000}
        reader, place = confluent_kafka.Consumer(settings), None
        reader.subscribe([log])
        while not self.stopped.is_set():
            for message in reader.consume(200, 0.2):
                if message.error():
                    continue
                number = int(TAG.match(message.value()).group(3))
                if number != message.offset() or (place is not None and number > place):
                    raise AssertionError(f"Kafka's reader at {place} was given record {number} at offset {message.offset()}")
                place = number + 1
                self.mark(f"r {log} {place}")
            if place and chance.random() < 0.3:
                try:
                    reader.commit(offsets=[confluent_kafka.TopicPartition(log, 0, place)], asynchronous=False)
                except confluent_kafka.KafkaException:
                    # The broker is down; what was read is read again at worst.
                    pass
        reader.close()

    # The catalog

    def churn(self, chance):
        made, number = [], 0
        life = self.life

        def attempt(client, what, name, action):
            self.mark(f"t{what} {name}")
            try:
                action()
            except native.Refused as error:
                # A repetition of what had been done: it was there (8), it was gone (3).
                if error.code not in (3, 8):
                    raise
            self.mark(f"T{what} {name}")

        def serve(client):
            nonlocal number
            while not self.stopped.is_set():
                name = f"t{life}-{number}"
                attempt(client, "+", name, lambda: client.create(name))
                number += 1
                made.append(name)
                if chance.random() < 0.6:
                    gone = chance.choice(made)
                    attempt(client, "-", gone, lambda: client.ok(native.DELETE_TOPIC, native.text(gone)))
                    made.remove(gone)
                self.stopped.wait(chance.uniform(0, 0.1))

        self.connected(serve)

    # Offsets

    def commit(self, chance):
        while not self.stopped.is_set():
            try:
                client = OffsetClient(self.broker.kafka_port)
                while not self.stopped.is_set():
                    self.committed += 1
                    self.mark(f"o {self.committed}")
                    if client.commit(b"g", self.committed) == 0:
                        self.mark(f"O {self.committed}")
                    self.stopped.wait(chance.uniform(0, 0.05))
            except ENDED:
                time.sleep(0.01)
