"""A broker that speaks Kafka, tried by unmodified clients: Needletail, or Apache Kafka itself, which judges the claims.

NEEDLETAIL_KAFKA_TARGET says which: `needletail` (the default), `apache`, or the HOST:PORT of one that runs already. A claim that does
not hold on Apache Kafka is a wrong claim, so each of them is tried there first.
"""
import atexit
import contextlib
import functools
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from broker import BINARY, SHARDS, Broker, Skipped, free_port, wait_until

TARGET = os.environ.get("NEEDLETAIL_KAFKA_TARGET", "needletail")
TOOLS = pathlib.Path(os.environ.get("NEEDLETAIL_KAFKA") or pathlib.Path(__file__).resolve().parents[3] / "shared/peers/kafka/kafka")
# What tools/kafka-clients unpacked: programs of Debian packages that would be in each other's way if they were installed.
CLIENTS = pathlib.Path(os.environ.get("NEEDLETAIL_KAFKA_CLIENTS", "/nonexistent"))
NUMBERS = itertools.count(1)


class NeedletailKafka(Broker):
    """Needletail with a listener for Kafka's protocol beside its own."""

    genuine = False

    def __init__(self, *flags):
        # One port for each shard, and two for claims that want two shards.
        ports = max(2, int(SHARDS or 1))
        self.kafka_port = free_port(ports)
        super().__init__("--listen", f"kafka=127.0.0.1:{self.kafka_port}", *flags)
        while self.kafka_port <= self.port < self.kafka_port + ports:
            self.port = free_port()

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.kafka_port}"

    def segments(self, topic, partition=0):
        identity = self.json("topic", "describe", topic)[0]["id"]
        return sorted((self.data / "logs" / f"{identity}-{partition}").glob("*.log"))


class ApacheKafka:
    """One node of Apache Kafka, in a folder of its own."""

    genuine = True

    def __init__(self, *settings):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="kafka-test-"))
        self.settings = settings
        self.kafka_port = free_port()
        self.pid = None

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.kafka_port}"

    def start(self):
        if not TOOLS.exists() or not shutil.which("java"):
            raise Skipped(f"there is no {TOOLS}, or no Java")
        defaults = ("log.cleaner.backoff.ms=500", "log.segment.delete.delay.ms=1000", "group.max.session.timeout.ms=60000")
        # Its answers to a start that is under way come to standard error; the claim is judged by what follows.
        done = subprocess.run([TOOLS, "start", self.home, str(self.kafka_port), *defaults, *self.settings], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        self.pid = int(done.stdout.split()[0])
        return self

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not pathlib.Path(f"/proc/{self.pid}").exists(), 60, "the node is gone")
        self.pid = None

    def resident_bytes(self):
        return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{self.pid}/status").read_text()).group(1)) * 1024

    def segments(self, topic, partition=0):
        return sorted((self.home / "data" / f"{topic}-{partition}").glob("*.log"))

    def remove(self):
        if self.pid:
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()


class RunningKafka:
    """One that somebody else started: it can be used, not killed."""

    genuine = True

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.kafka_port = int(bootstrap.rsplit(":", 1)[1])


@functools.cache
def speaks_kafka():
    """Whether the binary under test knows Kafka's protocol at all."""
    result = subprocess.run([BINARY, "config", "check", "-"], input=b"listeners:\n  - protocol: kafka\n    address: 127.0.0.1:0\n", capture_output=True, timeout=60)
    if result.returncode == 0:
        return True
    return b"kafka" not in result.stderr + result.stdout


@functools.cache
def shared_apache():
    node = ApacheKafka().start()
    atexit.register(node.remove)
    return node


@contextlib.contextmanager
def kafka(*flags, own=False):
    """The broker under test. `flags` are Needletail's; `own` says that the claim kills it."""
    if TARGET == "needletail":
        with NeedletailKafka(*flags) as broker:
            yield broker
    elif TARGET == "apache":
        if own:
            with ApacheKafka() as broker:
                yield broker
        else:
            yield shared_apache()
    else:
        if own:
            raise Skipped("this broker is not ours to kill")
        yield RunningKafka(TARGET)


def only_needletail(why):
    if TARGET != "needletail":
        raise Skipped(f"said of Needletail only: {why}")


def unique(name):
    return f"{name}-{os.getpid()}-{next(NUMBERS)}"


def create(broker, name, partitions=1, **settings):
    """A new topic; settings by Kafka's names, with _ for a dot."""
    topic = unique(name)
    config = {key.replace("_", "."): str(value) for key, value in settings.items()}
    admin(broker).create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(90)
    wait_until(lambda: topic in admin(broker).list_topics(timeout=90).topics, 60, f"{topic} is to be seen")
    return topic


def admin(broker):
    """One for the broker's whole life: what an administrator that is thrown away has asked for is not awaited."""
    if "administrator" not in vars(broker):
        broker.administrator = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 2})
    return broker.administrator


def producer(broker, **settings):
    return Producer({"bootstrap.servers": broker.bootstrap, "log_level": 2, "linger.ms": 5, **dotted(settings)})


def consumer(broker, **settings):
    defaults = {"bootstrap.servers": broker.bootstrap, "log_level": 2, "group.id": unique("reader"), "auto.offset.reset": "earliest", "enable.auto.commit": False, "enable.partition.eof": True}
    return Consumer({**defaults, **dotted(settings)})


def dotted(settings):
    return {key.replace("_", "."): value for key, value in settings.items()}


class Acknowledged:
    """Collects delivery reports: what the broker said yes to, and what it refused."""

    def __init__(self):
        self.messages, self.errors = [], []

    def __call__(self, error, message):
        if error:
            self.errors.append(error)
        else:
            self.messages.append(message)


def produce(broker, topic, values, partition=-1, **settings):
    """Publishes values; answers the delivery reports, all of them positive."""
    client, report = producer(broker, **settings), Acknowledged()
    for value in values:
        client.produce(topic, value, partition=partition, on_delivery=report)
        client.poll(0)
    assert client.flush(120) == 0
    assert not report.errors, report.errors[:3]
    return report.messages


def read(broker, topic, partitions=1, start=0, timeout=180, **settings):
    """Everything in a topic, by partition and offset, read without a group."""
    client = consumer(broker, **settings)
    client.assign([TopicPartition(topic, partition, start) for partition in range(partitions)])
    messages, ended, deadline = [], set(), time.monotonic() + timeout
    while len(ended) < partitions:
        assert time.monotonic() < deadline, f"only {len(messages)} messages of {topic} within {timeout} s"
        for message in client.consume(1000, 1.0):
            if not message.error():
                messages.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise KafkaException(message.error())
    client.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


def poll_until(client, count, timeout=180):
    """The next `count` messages of a consumer."""
    messages, deadline = [], time.monotonic() + timeout
    while len(messages) < count:
        assert time.monotonic() < deadline, f"only {len(messages)} of {count} messages within {timeout} s"
        for message in client.consume(count - len(messages), 0.5):
            if not message.error():
                messages.append(message)
            elif message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
    return messages


def refusal(action, *arguments):
    """The code with which an action is refused."""
    try:
        result = action(*arguments)
    except KafkaException as error:
        return error.args[0].name()
    raise AssertionError(f"not refused: {result}")


@contextlib.contextmanager
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="kafka-claim-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
