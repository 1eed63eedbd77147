"""A broker among hostile peers, with honest clients beside them: latencies by phase, memory, descriptors."""
import contextlib
import multiprocessing
import os
import pathlib
import re
import socket
import struct
import time

import native
from broker import Broker, free_port, read_exactly, wait_until
from native import Native


def kafka_request(key, version, body=b"", correlation=1):
    head = struct.pack(">hhih", key, version, correlation, -1)
    return struct.pack(">i", len(head) + len(body)) + head + body


def kafka_text(value):
    return struct.pack(">h", len(value)) + value.encode()


API_VERSIONS = kafka_request(18, 0)


def metadata(*names):
    """Asks for topics, and with that for their creation."""
    return kafka_request(3, 1, struct.pack(">i", len(names)) + b"".join(map(kafka_text, names)))


def fetch(topic, size=50 << 20, wait=0, least=1):
    partition = struct.pack(">iqi", 0, 0, size)
    return kafka_request(1, 4, struct.pack(">iiiibi", -1, wait, least, size, 0, 1) + kafka_text(topic) + struct.pack(">i", 1) + partition)


def produce(topic, records, acks=-1, correlation=1):
    part = struct.pack(">iii", 1, 0, len(records)) + records
    return kafka_request(0, 3, struct.pack(">hhii", -1, acks, 10_000, 1) + kafka_text(topic) + part, correlation)


def kafka_answer(connection):
    size = struct.unpack(">i", read_exactly(connection, 4))[0]
    return read_exactly(connection, size)


class Limited(Broker):
    """A broker with some limits, and a unix socket for its operator, to whom no address' limit applies."""

    def __init__(self, *flags, **limits):
        super().__init__()
        path = self.home / "needletail.yaml"
        path.write_text("limits: {" + ", ".join(f"{key}: {value}" for key, value in limits.items()) + "}\n")
        self.door = self.home / "operator"
        self.flags = ("--config", str(path), "--listen", f"native=unix:{self.door}", *flags)

    def operator(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.door))
        return Native(connection)

    def figures(self):
        with self.operator() as operator:
            return figures(operator)

    def reached(self, key):
        """How often the limit was reached."""
        return self.figures()[f"limit_{key}_total"]

    def anonymous_bytes(self):
        """Resident memory without mapped files, which the system takes back when it likes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) * 1024

    def sockets(self):
        count = 0
        for entry in os.scandir(f"/proc/{self.process.pid}/fd"):
            with contextlib.suppress(OSError):
                count += os.readlink(entry.path).startswith("socket:")
        return count

    def connect_from(self, address, to=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family)
        connection.settimeout(60)
        connection.bind((address, 0))
        connection.connect(to or ("127.0.0.1", self.port))
        return connection


def figures(client):
    reader = client.call(native.STATISTICS, b"", native.FIGURES)
    named = {name.removeprefix("needletail_"): value for value, name in reader.list(lambda r: (r.take("d"), r.text()))}
    reader.end()
    return named


class Crowded(Limited):
    """The same with both protocols."""

    def __init__(self, *flags, **limits):
        super().__init__(*flags, **limits)
        self.kafka_port = free_port(4)
        while self.kafka_port <= self.port < self.kafka_port + 4:
            self.port = free_port()
        self.flags += ("--listen", f"kafka=127.0.0.1:{self.kafka_port}")

    def connect_kafka(self):
        connection = socket.create_connection(("127.0.0.1", self.kafka_port), timeout=90)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def work_honestly(broker, pipe, count):
    """Publishes by both protocols, one message at a time, and notes when and how long; in a process of its own."""
    try:
        samples = []
        with native.connect(broker) as client, broker.connect_kafka() as kafka:
            topic = client.describe("honest")["id"]
            batch = native.make_batch([b"honest"])
            while not pipe.poll(0.004):
                began = time.monotonic()
                client.publish(topic, b"honest")
                middle = time.monotonic()
                kafka.sendall(produce("honest", batch))
                answer = kafka_answer(kafka)
                assert struct.unpack_from(">h", answer, 4 + 4 + 2 + len("honest") + 4 + 4)[0] == 0, answer
                samples.append((began, middle - began, time.monotonic() - middle))
                count.value = len(samples)
        pipe.send(samples)
    except BaseException as error:
        pipe.send(repr(error))


class Honest:
    """Honest clients beside a crowd; says how they fared in each phase."""

    def __init__(self, broker):
        self.broker, self.phases = broker, []

    def __enter__(self):
        with native.connect(self.broker) as client:
            client.create("honest")
        context = multiprocessing.get_context("fork")
        self.pipe, other = context.Pipe()
        self.count = context.Value("i", 0)
        self.process = context.Process(target=work_honestly, args=(self.broker, other, self.count), daemon=True)
        self.process.start()
        other.close()
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
        self.process.join(60)

    @contextlib.contextmanager
    def phase(self, name):
        began, before = time.monotonic(), self.count.value
        yield
        # The one that was under way when the phase began, and one more.
        wait_until(lambda: self.count.value >= before + 2, 120, f"an honest message beside {name}")
        self.phases.append((name, began, time.monotonic()))

    def end(self):
        """What they saw, for people. All that was acknowledged to them is there."""
        self.pipe.send("stop")
        samples = self.pipe.recv()
        assert isinstance(samples, list), f"an honest client failed: {samples}"
        with native.connect(self.broker) as client:
            end = client.describe("honest")["partitions"][0]["end"]
            assert end == 2 * len(samples), f"{2 * len(samples)} acknowledged, {end} stored"
        told = []
        for name, began, ended in self.phases:
            seen = [sample[1:] for sample in samples if began <= sample[0] < ended]
            assert seen, f"{len(seen)} honest messages beside {name}"
            both = [sorted(one[side] for one in seen) for side in (0, 1)]
            told.append(f"{name} {len(seen)}x2: p99 " + "/".join(f"{one[min(len(one) - 1, len(one) * 99 // 100)] * 1000:.1f}" for one in both) + " ms")
        return "; ".join(told)


@contextlib.contextmanager
def bounded(broker, budget, what):
    """Anonymous memory grows by no more than the budget, at any time that is looked at; what is closed is given back."""
    before, sockets = broker.anonymous_bytes(), broker.sockets()
    peak = [0]

    def look():
        peak[0] = max(peak[0], broker.anonymous_bytes() - before)

    yield look
    look()
    assert broker.process.poll() is None, broker.log()[-2000:]
    assert peak[0] < budget, f"{what}: {peak[0] >> 20} MiB more, {budget >> 20} MiB are the budget"
    # The operator's own connections come and go.
    wait_until(lambda: broker.sockets() <= sockets, 60, f"{what}: the sockets are closed")
