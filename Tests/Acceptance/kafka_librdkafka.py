"""librdkafka of today (confluent-kafka): producing under every setting, reading by assignment, errors by their names."""
import time

from confluent_kafka import KafkaError, KafkaException, OFFSET_END, Producer, TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, TopicPartition

from kafka_broker import Acknowledged, admin, consumer, create, kafka, only_needletail, poll_until, produce, producer, read, refusal, unique

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def claim_an_idempotent_producer_is_served_under_every_compression():
    with kafka() as broker:
        for codec in CODECS:
            topic = create(broker, "idempotent", 3)
            values = [b"%s %d %s" % (codec.encode(), n, b"y" * (n % 700)) for n in range(3000)]
            reports = produce(broker, topic, values, enable_idempotence=True, compression_type=codec)
            assert len(reports) == len(values)
            for partition in range(3):
                assert sorted(report.offset() for report in reports if report.partition() == partition) == list(range(sum(report.partition() == partition for report in reports)))
            messages = read(broker, topic, 3, check_crcs=True)
            assert sorted(message.value() for message in messages) == sorted(values), codec
            assert {(message.partition(), message.offset(), message.value()) for message in messages} == {(report.partition(), report.offset(), report.value()) for report in reports}


def claim_keys_headers_and_timestamps_are_kept():
    with kafka() as broker:
        topic = create(broker, "whole")
        client, report = producer(broker, enable_idempotence=True), Acknowledged()
        headers = [("a", b"1"), ("a", b"2"), ("null", None), ("empty", b""), ("ünïcode", "ß".encode()), ("long", b"h" * 5000)]
        cases = [(None, None), (b"", b""), (b"k", None), (None, b"v"), (bytes(range(256)), bytes(range(256)) * 300)]
        stamps = [1, 1_000_000_000_000, 1_700_000_000_123, 1_700_000_000_122, int(time.time() * 1000)]
        for (key, value), stamp in zip(cases, stamps):
            client.produce(topic, value, key, headers=headers, timestamp=stamp, partition=0, on_delivery=report)
        assert client.flush(120) == 0 and not report.errors, report.errors
        messages = read(broker, topic)
        assert [(message.key(), message.value()) for message in messages] == cases
        assert all(message.headers() == headers for message in messages)
        assert [message.timestamp() for message in messages] == [(TIMESTAMP_CREATE_TIME, stamp) for stamp in stamps]
        # Found by these timestamps again, the first one that is late enough.
        client = consumer(broker)
        found = client.offsets_for_times([TopicPartition(topic, 0, stamps[1])], timeout=90)[0].offset
        assert found == 1, found
        found = client.offsets_for_times([TopicPartition(topic, 0, stamps[2] + 1)], timeout=90)[0].offset
        assert found == 4, found
        client.close()


def claim_the_broker_stamps_where_the_topic_says_so():
    with kafka() as broker:
        topic = create(broker, "stamped", message_timestamp_type="LogAppendTime")
        client, before = producer(broker, compression_type="lz4"), int(time.time() * 1000)
        for n in range(10):
            client.produce(topic, b"%d" % n, timestamp=1_500_000_000_000, partition=0)
        assert client.flush(120) == 0
        for message in read(broker, topic, check_crcs=True):
            kind, stamp = message.timestamp()
            assert kind == TIMESTAMP_LOG_APPEND_TIME and before - 1000 <= stamp <= int(time.time() * 1000) + 1000, (kind, stamp)


def claim_every_meaning_of_acknowledged_is_understood():
    with kafka() as broker:
        for acks in (0, 1, "all"):
            topic = create(broker, "acks")
            reports = produce(broker, topic, [b"%d" % n for n in range(1000)], partition=0, acks=acks)
            assert len(reports) == 1000
            # Nothing is answered for acks=0, so what was sent may still be on its way.
            deadline, messages = time.monotonic() + 120, []
            while len(messages) < 1000 and time.monotonic() < deadline:
                messages = read(broker, topic)
            assert [message.value() for message in messages] == [b"%d" % n for n in range(1000)], acks


def claim_a_message_above_the_topics_limit_is_refused_by_name():
    with kafka() as broker:
        topic = create(broker, "small", max_message_bytes=20_000)
        client, report = producer(broker, message_max_bytes=10_000_000), Acknowledged()
        for size in (5_000, 50_000, 5_000):
            client.produce(topic, b"z" * size, partition=0, on_delivery=report)
            client.flush(120)
        assert [error.code() for error in report.errors] == [KafkaError.MSG_SIZE_TOO_LARGE], report.errors
        assert [len(message.value()) for message in read(broker, topic)] == [5_000, 5_000]


def claim_a_message_above_every_fetch_limit_arrives_whole():
    with kafka() as broker:
        topic = create(broker, "large", max_message_bytes=8_000_000)
        value = bytes(range(256)) * 20_000
        produce(broker, topic, [b"before", value, b"after"], partition=0, message_max_bytes=8_000_000)
        messages = read(broker, topic, fetch_max_bytes=1_000_000, message_max_bytes=1_000_000, max_partition_fetch_bytes=1000)
        assert [message.value() for message in messages] == [b"before", value, b"after"]


def claim_an_unknown_topic_is_named_and_not_made():
    with kafka() as broker:
        topic = unique("nowhere")
        client = consumer(broker, allow_auto_create_topics=False)
        client.subscribe([topic])
        deadline, seen = time.monotonic() + 120, None
        while seen is None and time.monotonic() < deadline:
            message = client.poll(1)
            seen = message and message.error()
        assert seen and seen.code() == KafkaError.UNKNOWN_TOPIC_OR_PART, seen
        assert client.list_topics(topic, timeout=90).topics[topic].error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        client.close()
        assert topic not in admin(broker).list_topics(timeout=90).topics


def claim_an_unknown_partition_is_refused():
    with kafka() as broker:
        topic = create(broker, "two", 2)
        client, report = producer(broker), Acknowledged()
        client.list_topics(topic, timeout=90)
        try:
            client.produce(topic, b"x", partition=7, on_delivery=report)
            client.flush(120)
            codes = [error.code() for error in report.errors]
        except KafkaException as error:
            codes = [error.args[0].code()]
        assert codes == [KafkaError._UNKNOWN_PARTITION], codes


def claim_a_reader_seeks_pauses_and_resumes():
    with kafka() as broker:
        topic = create(broker, "places", 2)
        for partition in (0, 1):
            produce(broker, topic, [b"%d" % n for n in range(1000)], partition=partition)
        client = consumer(broker)
        first, second = TopicPartition(topic, 0, 990), TopicPartition(topic, 1, OFFSET_END)
        client.assign([first, second])
        assert [message.offset() for message in poll_until(client, 10)] == list(range(990, 1000))
        client.seek(TopicPartition(topic, 0, 3))
        assert [message.value() for message in poll_until(client, 5)] == [b"%d" % n for n in range(3, 8)]
        assert client.position([first])[0].offset == 8
        client.pause([first])
        client.seek(TopicPartition(topic, 1, 500))
        got = poll_until(client, 500)
        assert {message.partition() for message in got} == {1} and [message.offset() for message in got] == list(range(500, 1000))
        client.resume([first])
        assert [(message.partition(), message.offset()) for message in poll_until(client, 4)] == [(0, n) for n in range(8, 12)]
        assert client.get_watermark_offsets(first, timeout=90) == (0, 1000)
        client.close()


def claim_a_place_outside_the_log_is_told():
    with kafka() as broker:
        topic = create(broker, "outside")
        produce(broker, topic, [b"%d" % n for n in range(10)], partition=0)
        client = consumer(broker, auto_offset_reset="error")
        client.assign([TopicPartition(topic, 0, 5000)])
        try:
            poll_until(client, 1)
            code = None
        except KafkaException as error:
            code = error.args[0].code()
        assert code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE), code
        client.close()
        for reset, expected in (("earliest", [0, 1]), ("latest", [10])):
            client = consumer(broker, auto_offset_reset=reset)
            client.assign([TopicPartition(topic, 0, 5000)])
            if reset == "latest":
                # At the end there is nothing until something is written.
                message = None
                while message is None or not message.error() or message.error().code() != KafkaError._PARTITION_EOF:
                    message = client.poll(90)
                    assert message is not None
                produce(broker, topic, [b"10"], partition=0)
            assert [message.offset() for message in poll_until(client, len(expected))] == expected
            client.close()


def claim_a_parked_reader_is_woken_by_what_it_waits_for():
    with kafka() as broker:
        topic = create(broker, "parked")
        client = consumer(broker, fetch_wait_max_ms=90_000, fetch_min_bytes=1, socket_timeout_ms=180_000)
        client.assign([TopicPartition(topic, 0, 0)])
        assert client.poll(1) is None
        for n in range(5):
            time.sleep(0.2)
            began = time.monotonic()
            produce(broker, topic, [b"%d" % n], partition=0)
            assert [message.value() for message in poll_until(client, 1, 80)] == [b"%d" % n]
            # Below what the broker may wait for more.
            assert time.monotonic() - began < 60
        client.close()


def claim_transactions_are_refused_and_say_so():
    only_needletail("Apache Kafka has transactions")
    with kafka() as broker:
        client = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": unique("transaction"), "log_level": 0})
        began = time.monotonic()
        name = refusal(client.init_transactions, 90)
        assert name not in ("_TIMED_OUT", "_TRANSPORT", "_STATE"), name
        return f"{name} after {time.monotonic() - began:.1f} s"
