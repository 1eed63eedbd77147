"""Old librdkafkas through their C interface: Debian's own, and the oldest one that a wheel on PyPI still carries (0.11.4 of 2018).

Log shippers and databases carry such a library for many years.
"""
import contextlib
import ctypes
import time

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from broker import Skipped
from kafka_broker import CLIENTS, TARGET, admin, create, kafka, unique

PRODUCER, CONSUMER = 0, 1
COPY = 2
EOF = -191


class Message(ctypes.Structure):
    _fields_ = [
        ("error", ctypes.c_int), ("topic", ctypes.c_void_p), ("partition", ctypes.c_int32), ("payload", ctypes.c_void_p), ("length", ctypes.c_size_t),
        ("key", ctypes.c_void_p), ("key_length", ctypes.c_size_t), ("offset", ctypes.c_int64), ("private", ctypes.c_void_p)]


REPORT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Message), ctypes.c_void_p)


class Library:
    def __init__(self, path):
        self.c = ctypes.CDLL(str(path))
        for name in ("conf_new", "new", "topic_new", "topic_partition_list_new", "topic_partition_list_add"):
            getattr(self.c, "rd_kafka_" + name).restype = ctypes.c_void_p
        self.c.rd_kafka_version_str.restype = self.c.rd_kafka_err2name.restype = ctypes.c_char_p
        self.c.rd_kafka_consumer_poll.restype = ctypes.POINTER(Message)
        self.version = self.c.rd_kafka_version_str().decode()

    @contextlib.contextmanager
    def handle(self, kind, broker, report=None, **settings):
        conf, reason = ctypes.c_void_p(self.c.rd_kafka_conf_new()), ctypes.create_string_buffer(512)
        for name, value in {"bootstrap.servers": broker.bootstrap, "log_level": 2, **{key.replace("_", "."): value for key, value in settings.items()}}.items():
            code = self.c.rd_kafka_conf_set(conf, name.encode(), str(value).encode(), reason, ctypes.c_size_t(512))
            assert code == 0, reason.value
        if report:
            self.c.rd_kafka_conf_set_dr_msg_cb(conf, report)
        handle = ctypes.c_void_p(self.c.rd_kafka_new(kind, conf, reason, ctypes.c_size_t(512)))
        assert handle, reason.value
        try:
            yield handle
        finally:
            self.c.rd_kafka_destroy(handle)

    def produce(self, broker, topic, values, **settings):
        """Answers the offsets, in the order of the reports."""
        offsets, errors = [], []

        def report(_, message, __):
            (errors if message.contents.error else offsets).append(message.contents.error or message.contents.offset)

        callback = REPORT(report)
        with self.handle(PRODUCER, broker, callback, queue_buffering_max_ms=5, produce_offset_report="true", **settings) as handle:
            place = ctypes.c_void_p(self.c.rd_kafka_topic_new(handle, topic.encode(), None))
            for value in values:
                assert self.c.rd_kafka_produce(place, 0, COPY, value, ctypes.c_size_t(len(value)), b"key", ctypes.c_size_t(3), None) == 0
                self.c.rd_kafka_poll(handle, 0)
            assert self.c.rd_kafka_flush(handle, 60_000) == 0
            self.c.rd_kafka_topic_destroy(place)
        assert not errors, errors[:3]
        return offsets

    def consume(self, broker, topic, group, count, offset=None, timeout=180):
        """The next `count` values for a group, which are then committed; or those from an offset, without one."""
        values = []
        with self.handle(CONSUMER, broker, group_id=group, enable_auto_commit="false", session_timeout_ms=30_000, auto_offset_reset="earliest") as handle:
            self.c.rd_kafka_poll_set_consumer(handle)
            topics = ctypes.c_void_p(self.c.rd_kafka_topic_partition_list_new(1))
            partition = ctypes.c_int32(-1 if offset is None else 0)
            self.c.rd_kafka_topic_partition_list_add(topics, topic.encode(), partition)
            if offset is None:
                assert self.c.rd_kafka_subscribe(handle, topics) == 0
            else:
                assert self.c.rd_kafka_topic_partition_list_set_offset(topics, topic.encode(), partition, ctypes.c_int64(offset)) == 0
                assert self.c.rd_kafka_assign(handle, topics) == 0
            self.c.rd_kafka_topic_partition_list_destroy(topics)
            deadline = time.monotonic() + timeout
            while len(values) < count:
                assert time.monotonic() < deadline, f"only {len(values)} of {count}"
                message = self.c.rd_kafka_consumer_poll(handle, 500)
                if not message:
                    continue
                found = message.contents
                assert found.error in (0, EOF), self.c.rd_kafka_err2name(found.error)
                if not found.error:
                    assert ctypes.string_at(found.key, found.key_length) == b"key"
                    values.append(ctypes.string_at(found.payload, found.length))
                self.c.rd_kafka_message_destroy(message)
            if offset is None:
                assert self.c.rd_kafka_commit(handle, None, 0) == 0
            assert self.c.rd_kafka_consumer_close(handle) == 0
        return values


def old():
    paths = sorted((CLIENTS / "librdkafka-old").glob("**/librdkafka*.so.1"))
    if not paths:
        raise Skipped("PyPI has no wheel with an old librdkafka for this machine")
    # What the wheel brings along is found by its name once it is loaded.
    for name in ("libz", "libcrypto", "libssl"):
        for path in paths[0].parent.glob(name + "-*"):
            ctypes.CDLL(str(path))
    return Library(paths[0])


def debian():
    try:
        return Library("librdkafka.so.1")
    except OSError as error:
        raise Skipped(f"no librdkafka1: {error}") from None


def served(library, codecs, in_groups=True):
    with kafka() as broker:
        for codec in codecs:
            topic, group = create(broker, "old"), unique("old")
            # The oldest ones ask for the log's beginning in a way that Kafka 4 has dropped; a group that was begun needs not ask.
            admin(broker).alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 0)])])[group].result(90)
            values = [b"%d %s" % (n, b"o" * (n % 300)) for n in range(2000)]
            assert library.produce(broker, topic, values[:1500], compression_codec=codec) == list(range(1500)), codec
            if in_groups:
                assert library.consume(broker, topic, group, 1500) == values[:1500]
            assert library.produce(broker, topic, values[1500:], compression_codec=codec, request_required_acks=-1) == list(range(1500, 2000))
            if in_groups:
                assert library.consume(broker, topic, group, 500) == values[1500:], "it did not go on where it had committed"
            assert library.consume(broker, topic, unique("nobody"), 1000, 1000) == values[1000:]
        return f"librdkafka {library.version}: {', '.join(codecs)}"


def claim_the_oldest_librdkafka_there_is_produces_and_consumes():
    # Nor does Apache Kafka 4 take the request with which they commit.
    return served(old(), ("none", "gzip", "snappy", "lz4"), in_groups=TARGET == "needletail")


def claim_debians_librdkafka_produces_and_consumes():
    return served(debian(), ("none", "gzip", "snappy", "lz4", "zstd"))
