"""What a driver is must not show: one script of operations, told by two brokers, one on io_uring and one on epoll.

NEEDLETAIL_DIFFERENTIAL: how many scripts (2). A script is a seed; a failure names it.
"""
import os
import random
import zlib

import native
from broker import DRIVER, Broker, Skipped, wait_until

SCRIPTS = int(os.environ.get("NEEDLETAIL_DIFFERENTIAL") or 2)
STAMP = 1_700_000_000_000
# Deliveries of a job.
LIMIT = 3


def claim_both_drivers_tell_the_same_history():
    told = 0
    for number in range(SCRIPTS):
        # The two runs of the tests take different scripts.
        seed = number * 2 + (DRIVER == "epoll")
        histories = {}
        for driver in ("io_uring", "epoll"):
            with Broker("--driver", driver) as broker:
                if driver == "io_uring" and "io_uring" not in broker.log() + broker.ready_line:
                    raise Skipped("io_uring is not to be had here")
                histories[driver] = Script(seed).tell(broker)
        first, second = histories["io_uring"], histories["epoll"]
        for at, (one, other) in enumerate(zip(first, second)):
            assert one == other, f"script {seed}, step {at}: io_uring says {str(one)[:500]}, epoll {str(other)[:500]}"
        assert len(first) == len(second), f"script {seed}: {len(first)} and {len(second)} steps"
        told += len(first)
    return f"{SCRIPTS} scripts, {told} steps alike"


class Script:
    """Operations drawn from a seed, and everything that was answered: whoever tells it twice hears the same."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.history = []
        self.ids, self.exchange, self.dead, self.jobs, self.is_purged = {}, None, 0, 0, False

    def tell(self, broker):
        self.connect(broker)
        self.make(broker)
        for _ in range(120):
            choice = self.random.randrange(100)
            if choice < 50:
                self.publish()
            elif choice < 65:
                self.fetch()
            elif choice < 80:
                self.consume(broker)
            elif choice < 88:
                self.refuse()
            elif choice < 94:
                self.look()
            elif choice < 97:
                self.is_purged = True
                self.note("purged", self.client.call(native.PURGE, native.optional(0, "i") + native.optional(None) + native.text("stream"), native.COUNT).take("q"))
            else:
                self.restart(broker)
        self.restart(broker)
        for name in self.ids:
            self.read_all(name)
        self.client.socket.close()
        return self.history

    def note(self, *what):
        self.history.append(what)

    def connect(self, broker):
        self.client = native.connect(broker)

    def make(self, broker):
        for name, options in (("stream", {"partitions": 2}), ("dead", {"queue": True}), ("jobs", {"queue": True, "dead_letter": "dead", "limit": LIMIT}), ("memory", {"memory": True})):
            self.ids[name] = self.client.create(name, **options)["id"]
            self.note("made", name, self.ids[name])
        # How many there are in the answer, and the first one's id.
        self.exchange = self.client.call(native.CREATE_EXCHANGE, b"\x01" + native.text("in"), native.EXCHANGES).take("II")[1]
        for pattern, name in (("a.*", "stream"), ("#", "jobs")):
            self.client.ok(native.BIND, b"\0" + native.text("in") + native.text(name) + native.text(pattern))

    def publish(self):
        name = self.random.choice(("stream", "jobs", "memory"))
        partition = self.random.randrange(2) if name == "stream" else 0
        payload = self.random.randbytes(self.random.choice((0, 1, 30, 2_000, 70_000)))
        durability = 0 if name == "memory" else 2
        if self.random.random() < 0.3:
            values = [self.random.randbytes(self.random.randrange(40)) for _ in range(self.random.randrange(1, 30))]
            answer = self.client.publish_batch(self.ids[name], native.make_batch(values, STAMP), partition, durability)
        elif self.random.random() < 0.2:
            answer = self.client.publish(self.exchange, payload, routing=self.random.choice(("a.b", "x", "")), durability=2, timestamp=STAMP)
        else:
            key = self.random.choice((None, b"", b"key"))
            headers = self.random.choice(((), ((b"h", b"v"), (b"n", None))))
            answer = self.client.publish(self.ids[name], payload, key=key, headers=headers, partition=partition, durability=durability, timestamp=STAMP)
        # What goes through the exchange comes to the queue in any case.
        self.jobs += answer["count"] if answer["topic"] == self.ids["jobs"] else answer["logs"] > 1
        self.note("published", name, tuple(sorted(answer.items())))

    def fetch(self):
        name, partition, offset, size = "stream", self.random.randrange(2), self.random.randrange(60), self.random.choice((1, 500, 100_000))
        try:
            start, end, data = self.client.fetch(self.ids[name], offset, partition, size)
            self.note("fetched", offset, start, end, len(data), zlib.crc32(data))
        except native.Refused as refusal:
            self.note("fetched", offset, str(refusal))

    def read_all(self, name):
        for partition in range(2 if name == "stream" else 1):
            described = self.client.describe(name)["partitions"][partition]
            offset, found = described["start"], b""
            while offset < described["end"]:
                _, _, data = self.client.fetch(self.ids[name], offset, partition, 1 << 20)
                records = native.read_batches(data)
                found += b"".join(b"%d %d %r %r;" % (record.offset, record.timestamp, record.key, record.value) for record in records)
                offset = records[-1].offset + 1
            # What the broker adds to dead letters tells the time.
            self.note("read", name, partition, described["start"], described["end"], zlib.crc32(found) if name != "dead" else described["end"])

    def consume(self, broker):
        """One consumer takes a few messages, one by one, settles each and goes. It never has credit left for what it gives back."""
        seen = []
        with native.connect(broker) as worker:
            worker.subscribe(1, "jobs", "queue", messages=0)
            for _ in range(self.random.randrange(1, 12)):
                if not self.jobs:
                    break
                worker.credit(1, 1)
                ((delivery, record),) = worker.records(1)
                outcome = self.random.choice((native.ACCEPT, native.ACCEPT, native.REQUEUE, native.REJECT, native.RELEASE))
                dies = outcome == native.REJECT or (outcome == native.REQUEUE and delivery.attempt >= LIMIT)
                self.dead += dies
                self.jobs -= dies or outcome == native.ACCEPT
                worker.settle(1, [(0, outcome, record.offset, record.offset)])
                seen.append((record.offset, delivery.attempt, delivery.is_redelivery, zlib.crc32(record.value)))
        wait_until(lambda: self.client.describe("dead")["partitions"][0]["end"] == self.dead, 90, lambda: f"{self.dead} dead letters: {self.client.describe('dead')['partitions'][0]}")
        self.note("consumed", tuple(seen))

    def refuse(self):
        actions = (
            lambda: self.client.publish(999, b"nowhere"), lambda: self.client.fetch(self.ids["stream"], 1 << 40), lambda: self.client.create("stream"),
            lambda: self.client.create("a b"), lambda: self.client.describe("nothing"), lambda: self.client.ok(native.DELETE_TOPIC, native.text("nothing")),
            lambda: self.client.publish_batch(self.ids["stream"], native.make_batch([b"x"], STAMP)[:-1] + b"\0\0"))
        try:
            self.note("not refused", self.random.choice(actions)())
        except native.Refused as refusal:
            self.note("refused", str(refusal))

    def look(self):
        name = self.random.choice(tuple(self.ids))
        described = self.client.describe(name)
        self.note("described", name, tuple((part["start"], part["end"]) for part in described["partitions"]))

    def restart(self, broker):
        self.client.socket.close()
        # A purge is on disk with the log's next checkpoint; whether a kill comes first is chance.
        if self.random.random() < 0.5 and not self.is_purged:
            broker.kill()
        else:
            assert broker.terminate()[0] == 0
            self.is_purged = False
        broker.start()
        self.connect(broker)
        self.note("restarted", tuple(sorted(topic["name"] for topic in self.client.topics(native.LIST_TOPICS))))
