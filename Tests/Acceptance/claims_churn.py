"""Comings and goings: whatever is made and forgotten gives everything back. NEEDLETAIL_CHURN_SECONDS: how long (12)."""
import os
import pathlib
import re
import socket
import struct
import time

import native
from broker import Broker, free_port, wait_until

SECONDS = float(os.environ.get("NEEDLETAIL_CHURN_SECONDS") or 12)
# Everything that the broker keeps a table of. What else it counts only grows.
TABLES = (
    "topics", "partitions", "exchanges", "bindings", "subscriptions", "consumers", "sessions", "groups", "group_members", "group_offsets", "group_bytes",
    "in_flight", "ready", "connections")
PRODUCE, FETCH, OFFSET_COMMIT, JOIN, HEARTBEAT, LEAVE, SYNC, DELETE_GROUPS = 0, 1, 8, 11, 12, 13, 14, 42


class Kafka:
    """A client of Kafka's protocol by hand, in the old versions that have no tags."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=90)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, key, version, body):
        data = struct.pack(">hhi", key, version, 1) + text("churn") + body
        self.socket.sendall(struct.pack(">i", len(data)) + data)

    def ask(self, key, version, body):
        self.send(key, version, body)
        size = struct.unpack(">i", self.exactly(4))[0]
        return self.exactly(size)[4:]

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            assert more, "the broker has closed the connection"
            data += more
        return data

    def join(self, group):
        """Becomes the only member of a group; answers generation and member id. Twice: a member without an id is told one first."""
        member = ""
        for _ in range(2):
            metadata = bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            body = text(group) + struct.pack(">ii", 6000, 6000) + text(member) + text("consumer") + struct.pack(">i", 1) + text("range")
            answer = self.ask(JOIN, 4, body + struct.pack(">i", len(metadata)) + metadata)
            error, generation = struct.unpack_from(">hi", answer, 4)
            at = 10
            for _ in range(2):
                at += 2 + max(0, struct.unpack_from(">h", answer, at)[0])
            length = struct.unpack_from(">h", answer, at)[0]
            member = answer[at + 2:at + 2 + length].decode()
            if error == 0:
                return generation, member
            assert error == 79, f"joining fails with {error}"
        raise AssertionError("told its member id twice")


def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def code(answer, at):
    return struct.unpack_from(">h", answer, at)[0]


def claim_everything_that_comes_and_goes_leaves_nothing_behind():
    port = free_port(2)
    with Broker("--listen", f"kafka=127.0.0.1:{port}") as broker:
        anchor = native.connect(broker)
        anchor.create("anchor", queue=True)
        anchor.publish(anchor.describe("anchor")["id"], b"still here")
        # What is made once and kept: buffers, compiled routes, the first segments of the broker's own logs.
        rounds = 0
        for rounds in range(1, 9):
            churn(broker, port, f"warm-{rounds}")
        abandon(broker, port, "warm")
        settle_down(broker, port, "warm")
        before = tables(broker)
        assert before["sessions"] == 2, f"the one that stays and the one that asks: {before}"
        resources = taken(broker)
        end = time.monotonic() + SECONDS
        abandon(broker, port, "left")
        while time.monotonic() < end:
            rounds += 1
            churn(broker, port, f"round-{rounds}")
        settle_down(broker, port, "left")
        wait_until(lambda: tables(broker) == before, 60, lambda: f"tables as before: {before}, now {tables(broker)}")
        # Removal of files and the closing of what sends have held is the background's. Its threads begin where there was much to do at once,
        # and stay; there are never more of them than a few of each kind, each with a few mappings.
        def has_given_back():
            now = taken(broker)
            helpers = now[2] - resources[2]
            return all(now[at] <= resources[at] for at in (0, 1, 3)) and helpers <= 24 and now[4] <= resources[4] + 24 + 4 * max(0, helpers)

        wait_until(has_given_back, 60, lambda: f"descriptors, mapped files, threads, logs, mappings: {resources[:5]}, now {taken(broker)[:5]}")
        after = taken(broker)
        growth = after[5] - resources[5]
        assert growth < 12 << 20, f"{growth >> 20} MiB more are resident after {rounds} rounds"
        # The one that stayed all the time has noticed nothing.
        anchor.publish(anchor.describe("anchor")["id"], b"still here")
        return f"{rounds} rounds, {growth >> 10} KiB more resident, {after[0]} descriptors, {after[1]} mapped files, {after[2]} threads"


def tables(broker):
    figures = statistics(broker)
    return {name: figures[name] for name in TABLES}


def statistics(broker):
    with native.connect(broker) as client:
        reader = client.call(native.STATISTICS, b"", native.FIGURES)
        found = reader.list(lambda one: (one.take("d"), one.text().removeprefix("needletail_")))
        reader.end()
        return {name: value for value, name in found}


def taken(broker):
    """Open descriptors, files of the data directory that are mapped, threads, directories of logs; all mappings; resident bytes."""
    process = pathlib.Path(f"/proc/{broker.process.pid}")
    maps = (process / "maps").read_text().splitlines()
    threads = int(re.search(r"Threads:\s+(\d+)", (process / "status").read_text()).group(1))
    mapped = sum(str(broker.data) in line for line in maps)
    return len(os.listdir(process / "fd")), mapped, threads, len(os.listdir(broker.data / "logs")), len(maps), broker.resident_bytes()


def churn(broker, port, name):
    """One of everything, made, used, and taken away."""
    jobs, dead, stream = f"{name}-jobs", f"{name}-dead", f"{name}-stream"
    with native.connect(broker) as owner:
        ids = {topic: owner.create(topic, **options)["id"] for topic, options in (
            (dead, {"queue": True}), (jobs, {"queue": True, "dead_letter": dead, "limit": 2}), (stream, {"partitions": 3}), (f"{name}-memory", {"memory": True}))}
        for number in range(20):
            owner.publish(ids[jobs], b"job %d" % number, durability=1)
            owner.publish(ids[stream], b"event %d" % number, key=b"%d" % number)
            owner.publish(ids[f"{name}-memory"], b"x" * 1000)
        # A consumer that settles, rejects, and goes with deliveries in its hands.
        with native.connect(broker) as worker:
            worker.subscribe(1, jobs, "queue", messages=20)
            deliveries = worker.records(20)
            for at, (delivery, record) in enumerate(deliveries):
                if at < 16:
                    worker.settle(1, [(0, native.REJECT if at % 4 == 0 else native.ACCEPT, record.offset, record.offset)], confirm=at % 2 == 0)
        with native.connect(broker) as other:
            other.subscribe(1, jobs, "queue", messages=20)
            other.subscribe(2, dead, "queue", messages=20)
            other.records(8, settle=native.ACCEPT)
            other.subscribe(3, stream, "readers", mode=native.EXCLUSIVE)
            other.subscribe(4, stream, "", mode=native.BROADCAST)
        owner.call(native.CREATE_EXCHANGE, b"\x02" + native.text(name), native.EXCHANGES)
        owner.ok(native.BIND, binding(name, stream))
        owner.call(native.CREATE_REPLY_TOPIC, b"", native.TOPICS)
        with Kafka(port) as member:
            batch = native.make_batch([b"one", b"two"])
            body = struct.pack(">hhi", -1, -1, 10_000) + struct.pack(">i", 1) + text(stream) + struct.pack(">iii", 1, 0, len(batch)) + batch
            member.ask(PRODUCE, 3, body)
            generation, identifier = member.join(name)
            who = text(name) + struct.pack(">i", generation) + text(identifier)
            answer = member.ask(SYNC, 1, who + struct.pack(">i", 1) + text(identifier) + struct.pack(">i", 2) + b"ok")
            assert code(answer, 4) == 0, f"a sync fails with {code(answer, 4)}"
            assert code(member.ask(HEARTBEAT, 1, who), 4) == 0
            commit = who + struct.pack(">q", -1) + struct.pack(">i", 1) + text(stream) + struct.pack(">iiq", 1, 0, 1) + text("where")
            member.ask(OFFSET_COMMIT, 2, commit)
            # A fetch that waits, and a client that does not wait for it.
            fetch = struct.pack(">iiiib", -1, 5_000, 1 << 20, 1 << 20, 0) + struct.pack(">i", 1) + text(stream) + struct.pack(">iiqi", 1, 1, 0, 1 << 20)
            assert code(member.ask(LEAVE, 1, text(name) + text(identifier)), 4) == 0
            member.send(FETCH, 4, fetch)
        with Kafka(port) as manager:
            answer = manager.ask(DELETE_GROUPS, 0, struct.pack(">i", 1) + text(name))
            assert code(answer, 8 + 2 + len(name)) == 0, f"a group is not deleted: {code(answer, 10 + len(name))}"
            # An idle connection that says half a request.
            manager.socket.sendall(struct.pack(">ih", 100, 3))
        owner.ok(native.UNBIND, binding(name, stream))
        owner.ok(native.DELETE_EXCHANGE, native.text(name))
        for topic in ids:
            owner.ok(native.DELETE_TOPIC, native.text(topic))


def binding(name, topic):
    return b"\x00" + native.text(name) + native.text(topic) + native.text("")


def abandon(broker, port, name):
    """Members who go without a word: their groups must find out."""
    for number in range(3):
        with Kafka(port) as member:
            member.join(f"{name}-{number}")


def settle_down(broker, port, name):
    """Until the abandoned members are taken for gone and their groups can be deleted."""
    wait_until(lambda: statistics(broker)["group_members"] == 0, 90, "members that went are forgotten")
    with Kafka(port) as manager:
        names = [f"{name}-{number}" for number in range(3)]
        manager.ask(DELETE_GROUPS, 0, struct.pack(">i", len(names)) + b"".join(text(one) for one in names))
    # A socket that was closed here is closed there a moment later. Memory that is not used is given back after a second.
    wait_until(lambda: statistics(broker)["sessions"] == 2, 60, "everybody but the one that stays is gone")
    time.sleep(1.5)
    wait_until(lambda: statistics(broker)["sessions"] == 2, 60, "everybody but the one that stays is gone")


def claim_who_looks_into_an_empty_queue_and_goes_leaves_nothing_behind():
    """Nothing is ever published, so that no consumer's turn ever comes."""
    with Broker() as broker, native.connect(broker) as client:
        client.create("empty", queue=True)
        look(client, 20_000)
        before = broker.resident_bytes()
        look(client, 60_000)
        growth = broker.resident_bytes() - before
        assert growth < 3 << 20, f"{growth >> 10} KiB more are resident after 60,000 consumers came and went"
        assert statistics(broker)["consumers"] == 0
        return f"{growth >> 10} KiB more resident after 60,000 consumers"


def look(client, count):
    """So many consumers come and go, some hundreds of them one behind the other in one write."""
    for _ in range(0, count, 250):
        frames, first = [], client.correlation + 1
        for consumer in range(1, 251):
            subscribe = struct.pack("<IBBxx", consumer, native.SHARED, 1) + native.EARLIEST + struct.pack("<iq", 10, 1 << 20)
            frames.append(client.frame(native.SUBSCRIBE, subscribe + native.subscription_options() + native.text("empty") + native.text("queue")))
            frames.append(client.frame(native.UNSUBSCRIBE, struct.pack("<I", consumer)))
        client.socket.sendall(b"".join(frames))
        for correlation in range(first, client.correlation + 1, 2):
            client.answer(correlation, native.SUBSCRIBED)
            client.answer(correlation + 1, native.OK)
