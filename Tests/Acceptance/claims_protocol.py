"""The native protocol over a real socket, spoken by a client that was written from its document."""
import socket
import struct
import threading
import time

import native
from broker import Broker, frame, hello, read_frame, wait_until
from native import Native, connect, make_batch, read_batches, text


def refused(code, call, *arguments, **more):
    try:
        call(*arguments, **more)
    except native.Refused as refusal:
        assert refusal.code == code and not refusal.fatal, f"refused with {refusal} instead of {code}"
        return
    raise AssertionError(f"not refused with {code}")


def claim_protocol_greets_with_version_and_limits():
    with Broker() as broker, connect(broker) as client:
        assert (client.version, client.features, client.server) == (1, 0, "needletail")
        assert client.max_frame >= 1 << 20 and client.max_message < client.max_frame and client.max_unanswered > 0 and client.shards >= 1
        client.call(native.PING, b"", native.PONG).end()


def claim_protocol_single_messages_come_back_as_sent():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("single")
        assert topic["name"] == "single" and len(topic["partitions"]) == 1
        headers = [(b"a", b"1"), (b"empty", b""), (b"null", None)]
        sent = [
            dict(payload=b"hello", key=b"key", headers=headers, timestamp=1_700_000_000_123), dict(payload=None), dict(payload=b"", key=b""),
            dict(payload=b"x" * 200_000),
        ]
        for offset, message in enumerate(sent):
            published = client.publish(topic["id"], **message)
            assert published["offset"] == offset and published["count"] == 1 and published["logs"] == 1 and not published["duplicate"], published
            assert published["reached"] >= 2, "the default is group"
        start, end, batches = client.fetch(topic["id"], 0)
        records = read_batches(batches)
        assert (start, end) == (0, 4) and [record.offset for record in records] == [0, 1, 2, 3]
        for record, message in zip(records, sent):
            assert (record.key, record.value) == (message.get("key"), message["payload"])
        assert records[0].headers == headers and records[0].timestamp == 1_700_000_000_123
        assert abs(records[1].timestamp / 1000 - time.time()) < 60


def claim_protocol_batches_are_stored_byte_for_byte():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("batches", partitions=2)
        batch = make_batch([b"one", (b"k", b"two", [(b"h", b"v")]), b"three" * 1000])
        for partition in (0, 1):
            for base in (0, 3):
                published = client.publish_batch(topic["id"], batch, partition)
                assert (published["partition"], published["offset"], published["count"]) == (partition, base, 3)
        stored = client.fetch(topic["id"], 0, partition=1)[2]
        assert len(stored) == 2 * len(batch)
        # Base offset (8), length (4), leader epoch (4), then all that is covered by the checksum, and the checksum.
        for base, at in ((0, 0), (3, len(batch))):
            assert struct.unpack_from(">q", stored, at)[0] == base
            assert stored[at + 8 : at + 12] == batch[8:12] and stored[at + 16 : at + len(batch)] == batch[16:]
        # A key goes where Kafka's partitioner puts it, wherever it comes from.
        where = {client.publish(topic["id"], b"", key=b"21")["partition"] for _ in range(4)}
        assert len(where) == 1


def claim_protocol_refusals_name_their_reason():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("refusals")
        refused(3, client.describe, "nowhere")
        refused(3, client.publish, 4_000_000_000, b"")
        refused(4, client.publish, topic["id"], b"", partition=7)
        refused(2, client.create, "no/such/../name")
        refused(8, client.create, "refusals", partitions=3)
        broken = bytearray(make_batch([b"value"]))
        broken[-1] ^= 1
        refused(11, client.publish_batch, topic["id"], bytes(broken))
        refused(11, client.publish_batch, topic["id"], b"")
        refused(5, lambda: client.call(native.FIND_EXCHANGE, text("nowhere"), native.EXCHANGES))
        refused(7, client.ok, native.UNSUBSCRIBE, struct.pack("<I", 9))
        refused(14, client.fetch, topic["id"], 1_000_000)
        assert client.publish(topic["id"], b"still fine")["offset"] == 0


def claim_protocol_answers_come_for_every_pipelined_request():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("pipeline")
        first = client.correlation + 1
        frames = [client.frame(native.PUBLISH, client.publish_body(topic["id"], b"%d" % number)) for number in range(5_000)]
        client.socket.sendall(b"".join(frames))
        offsets = [native.read_published(native.Reader(client.answer(first + number, native.PUBLISHED)))["offset"] for number in range(5_000)]
        assert offsets == list(range(5_000))
        # More than may be unanswered, by one who does not look: slowed down, not sent away.
        burst = b"".join(client.frame(native.PUBLISH, client.publish_body(topic["id"], b"burst")) for _ in range(3 * client.max_unanswered))
        last, writer = client.correlation, threading.Thread(target=client.socket.sendall, args=(burst,))
        writer.start()
        client.answer(last, native.PUBLISHED)
        writer.join()
        assert len(client.answers) >= 3 * client.max_unanswered and all(
            kind == native.PUBLISHED for answers in client.answers.values() for kind, _, _ in answers)
        client.answers = {}
        stored = client.describe("pipeline")["partitions"][0]["end"]
        assert stored == 5_000 + 3 * client.max_unanswered
        # Without an answer: only the next request says that they were stored.
        client.socket.sendall(b"".join(client.frame(native.PUBLISH, client.publish_body(topic["id"], b"quiet"), 2) for _ in range(100)))
        assert client.publish(topic["id"], b"last")["offset"] == stored + 100
        assert not any(client.answers.values())


def claim_protocol_producers_are_idempotent():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("idempotent")
        reader = client.call(native.START_PRODUCER, struct.pack("<qh", -1, -1), native.PRODUCER)
        producer, epoch = reader.take("qh")
        reader.end()
        first = client.publish_batch(topic["id"], make_batch([b"a", b"b"], producer=(producer, epoch, 0)))
        again = client.publish_batch(topic["id"], make_batch([b"a", b"b"], producer=(producer, epoch, 0)))
        assert (first["offset"], first["duplicate"], again["offset"], again["duplicate"]) == (0, 0, 0, 1)
        assert client.publish(topic["id"], b"c", partition=0, producer=(producer, epoch, 2))["offset"] == 2
        assert client.publish(topic["id"], b"c", partition=0, producer=(producer, epoch, 2))["duplicate"] == 1
        refused(15, client.publish, topic["id"], b"gap", partition=0, producer=(producer, epoch, 9))
        raised = client.call(native.START_PRODUCER, struct.pack("<qh", producer, epoch), native.PRODUCER).take("qh")
        assert raised == (producer, epoch + 1)
        assert client.publish(topic["id"], b"new", partition=0, producer=(producer, epoch + 1, 0))["offset"] == 3
        refused(16, client.publish, topic["id"], b"old", partition=0, producer=(producer, epoch, 3))
        assert client.fetch(topic["id"], 0)[1] == 4


def claim_protocol_a_fetch_waits_for_what_is_published():
    with Broker() as broker, connect(broker) as reader, connect(broker) as writer:
        topic = writer.create("parked")
        fetch = reader.send(native.FETCH, struct.pack("<IiqiiI", topic["id"], 0, 0, 1 << 20, 1, 20_000))
        reader.call(native.PING, b"", native.PONG).end()
        assert fetch not in reader.answers
        writer.publish(topic["id"], b"woken")
        assert [record.value for record in read_batches(reader.answer(fetch, native.FETCHED)[24:])] == [b"woken"]
        began = time.monotonic()
        assert reader.fetch(topic["id"], 1, min_bytes=1, wait=300)[2] == b""
        assert 0.2 < time.monotonic() - began < 60


def claim_protocol_consumers_get_what_their_credit_allows():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("credit", queue=True, until_acknowledged=True)
        for number in range(10):
            client.publish(topic["id"], b"%d" % number)
        _, active = client.subscribe(5, "credit", "queue", messages=3)
        assert active
        got = client.records(3)
        assert client.is_quiet()
        assert [record.value for _, record in got] == [b"0", b"1", b"2"]
        assert all(delivery.attempt == 1 and not delivery.is_redelivery for delivery, _ in got)
        client.settle(5, [(0, native.ACCEPT, 0, 0), (0, native.REQUEUE, 1, 1), (0, native.RELEASE, 2, 2)])
        client.credit(5, 4)
        again = client.records(4)
        assert client.is_quiet()
        by_offset = {record.offset: delivery for delivery, record in again}
        assert sorted(by_offset) == [1, 2, 3, 4], sorted(by_offset)
        assert by_offset[1].attempt == 2 and by_offset[1].is_redelivery and by_offset[2].attempt == 1 and by_offset[3].attempt == 1
        try:
            client.settle(5, [(0, native.ACCEPT, 9, 9)])
            raise AssertionError("settled what was not delivered")
        except native.Refused as refusal:
            assert refusal.code == 17
        client.settle(5, [(0, native.ACCEPT, 9, 9)], confirm=False)
        client.call(native.PING, b"", native.PONG).end()
        wait_until(lambda: client.events or client.call(native.PING, b"", native.PONG).end(), what="a consumer event")
        assert client.events[0][:3] == (5, 2, 17)


def claim_protocol_rejected_messages_go_to_the_dead_letters_and_back():
    with Broker() as broker, connect(broker) as client:
        dead = client.create("dead", queue=True, until_acknowledged=True)
        topic = client.create("work", queue=True, until_acknowledged=True, limit=2, dead_letter="dead")
        client.publish(topic["id"], b"bad", headers=[(b"h", b"v")])
        client.publish(topic["id"], b"worse")
        client.subscribe(1, "work", "queue", messages=100)
        for delivery, record in client.records(2):
            outcome = native.REJECT if record.value == b"bad" else native.REQUEUE
            client.settle(1, [(0, outcome, record.offset, record.offset)])
        ((delivery, record),) = client.records(1)
        assert record.value == b"worse" and delivery.attempt == 2
        client.settle(1, [(0, native.REQUEUE, record.offset, record.offset)])
        wait_until(lambda: client.fetch(dead["id"], 0)[1] == 2, what="two dead letters")
        letters = read_batches(client.fetch(dead["id"], 0)[2])
        assert [letter.value for letter in letters] == [b"bad", b"worse"]
        assert (b"h", b"v") in letters[0].headers and len(letters[0].headers) > 1, letters[0].headers
        reader = client.call(native.REDRIVE, struct.pack("<q", 100) + text("dead"), native.COUNT)
        assert reader.take("q") == 2
        assert sorted(record.value for _, record in client.records(2)) == [b"bad", b"worse"]


def claim_protocol_leases_end_and_are_extended():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("leased", queue=True, until_acknowledged=True, lease=5_000)
        for payload in (b"kept", b"lost"):
            client.publish(topic["id"], payload)
        client.subscribe(1, "leased", "queue", messages=100)
        client.records(2)
        client.ok(native.EXTEND_LEASE, struct.pack("<IiqqI", 1, 0, 0, 0, 60_000))
        refused(17, client.ok, native.EXTEND_LEASE, struct.pack("<IiqqI", 1, 0, 9, 9, 60_000))
        ((delivery, record),) = client.records(1)
        assert (record.value, delivery.attempt, delivery.is_redelivery) == (b"lost", 2, True)
        assert client.is_quiet()
        client.settle(1, [(0, native.ACCEPT, 0, 1)])


def claim_protocol_consumers_may_settle_themselves():
    with Broker() as broker:
        with connect(broker) as client:
            topic = client.create("at-most-once", queue=True, until_acknowledged=True)
            for number in range(3):
                client.publish(topic["id"], b"%d" % number)
            client.subscribe(1, "at-most-once", "queue", messages=2, flags=1)
            client.records(2)
        with connect(broker) as client:
            client.subscribe(1, "at-most-once", "queue", messages=10)
            ((_, record),) = client.records(1)
            assert record.value == b"2" and client.is_quiet()


def claim_protocol_a_fault_ends_the_connection_and_says_why():
    with Broker() as broker:
        for bytes_sent, code in (
            (b"GET / HTTP/1.1\r\n\r\n", 100), (frame(0x03), 100), (frame(0x01, b"WRONGMAG" + bytes(18)), 100),
            (hello() + frame(0x7F), 104), (hello() + hello(), 105), (hello() + frame(0x34, bytes(40)), 105), (hello() + frame(0x33, bytes(15)), 102),
            (hello() + struct.pack("<I", 0x7FFFFFFF), 103), (hello() + frame(0x36, struct.pack("<II", 1, 0xFFFFFFFF)), 102),
            (hello() + frame(0x44, correlation=1 << 63), 102),
        ):
            with broker.connect() as connection:
                connection.sendall(bytes_sent)
                last = None
                try:
                    while True:
                        last = read_frame(connection)
                except ConnectionError:
                    pass
                kind, correlation, body = last
                assert (kind, correlation) == (native.ERROR, 0) and struct.unpack_from("<HB", body) == (code, 1), (bytes_sent, last)
        # What was published before the fault stays.
        with connect(broker) as client:
            topic = client.create("before")
            client.socket.sendall(client.frame(native.PUBLISH, client.publish_body(topic["id"], b"kept")) + struct.pack("<I", 3))
            try:
                while True:
                    client.receive()
            except ConnectionError:
                pass
        with connect(broker) as client:
            wait_until(lambda: client.describe("before")["partitions"][0]["end"] == 1, timeout=60, what="what was published before the fault")


def claim_protocol_is_spoken_over_a_unix_socket():
    broker = Broker()
    path = broker.home / "socket"
    broker.flags = ("--listen", f"native=unix:{path}")
    with broker:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        with Native(connection) as local, connect(broker) as remote:
            topic = local.create("local")
            local.publish(topic["id"], b"across")
            assert [record.value for record in read_batches(remote.fetch(topic["id"], 0)[2])] == [b"across"]


def claim_protocol_what_a_lost_connection_had_is_delivered_again():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("again", queue=True, until_acknowledged=True)
        client.publish(topic["id"], b"precious")
        with connect(broker) as worker:
            worker.subscribe(1, "again", "queue", messages=1)
            worker.records(1)
        client.subscribe(1, "again", "queue", messages=1)
        ((delivery, record),) = client.records(1)
        assert record.value == b"precious" and delivery.is_redelivery


def claim_protocol_streams_are_read_in_batches_and_rewound():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("stream")
        for base in range(0, 30, 10):
            client.publish_batch(topic["id"], make_batch([b"%d" % (base + number) for number in range(10)], timestamp=1_000_000 + base))
        client.subscribe(2, "stream", "reader", mode=native.EXCLUSIVE, form=0)
        assert [record.value for _, record in client.records(30)] == [b"%d" % number for number in range(30)]
        client.settle(2, [(0, native.ACCEPT, 0, 19)])
        reader = client.call(native.LIST_SUBSCRIPTIONS, text("stream"), native.SUBSCRIPTIONS)
        (subscription,) = reader.list(lambda r: (r.take("IiB"), r.text(), r.text(), r.list(lambda c: c.take("iqqqqq"))))
        reader.end()
        assert subscription[1:3] == ("stream", "reader") and subscription[3][0][1] == 20, subscription
        reader = client.call(native.FIND_OFFSET, struct.pack("<i", 0) + native.at_time(1_000_010) + text("stream"), native.OFFSET)
        assert reader.take("qq") == (10, 1_000_010)
        client.ok(native.SEEK, native.at_offset(25) + text("stream") + text("reader"))
        client.credit(2, 100)
        assert [record.value for _, record in client.records(5)] == [b"%d" % number for number in range(25, 30)]
        # A second consumer of an exclusive subscription stands by, and becomes the active one.
        with connect(broker) as other:
            assert other.subscribe(3, "stream", "reader", mode=native.EXCLUSIVE, form=0)[1] is False
            client.ok(native.UNSUBSCRIBE, struct.pack("<I", 2))
            while not other.events:
                other.receive()
            assert other.events[0][:2] == (3, 0)


def claim_protocol_exchanges_route_to_all_that_are_bound():
    with Broker() as broker, connect(broker) as client:
        for name in ("payment", "stock"):
            client.create(name)
        reader = client.call(native.CREATE_EXCHANGE, struct.pack("<B", 1) + text("orders"), native.EXCHANGES)
        ((exchange, kind, name, bindings),) = reader.list(read_exchange)
        reader.end()
        assert (kind, name, bindings) == (1, "orders", [])
        client.ok(native.BIND, b"\0" + text("orders") + text("payment") + text("order.*"))
        client.ok(native.BIND, b"\0" + text("orders") + text("stock") + text("order.#"))
        assert client.publish(exchange, b"both", routing="order.new")["logs"] == 2
        assert client.publish_batch(exchange, make_batch([b"a", b"b"]), routing="order.new.eu")["logs"] == 1
        assert client.publish(exchange, b"nobody", routing="other")["logs"] == 0
        assert client.describe("payment")["partitions"][0]["end"] == 1 and client.describe("stock")["partitions"][0]["end"] == 3
        client.ok(native.UNBIND, b"\0" + text("orders") + text("stock") + text("order.#"))
        assert client.publish(exchange, b"one", routing="order.new")["logs"] == 1
        reader = client.call(native.LIST_EXCHANGES, b"", native.EXCHANGES)
        listed = {entry[2]: entry for entry in reader.list(read_exchange)}
        reader.end()
        assert listed["orders"][3] == [(0, "orders", "payment", "order.*")]
        client.ok(native.DELETE_EXCHANGE, text("orders"))
        refused(5, lambda: client.call(native.FIND_EXCHANGE, text("orders"), native.EXCHANGES))


def read_exchange(reader):
    return reader.take("I"), reader.take("B"), reader.text(), reader.list(lambda r: (r.take("B"), r.text(), r.text(), r.text()))


def claim_protocol_requests_are_replied_to():
    with Broker() as broker, connect(broker) as server:
        service = server.create("service", queue=True, until_acknowledged=True)
        server.subscribe(1, "service", "queue")
        with connect(broker) as client:
            (reply,) = client.topics(native.CREATE_REPLY_TOPIC)
            assert reply["storage"] == 1 and len(reply["partitions"]) == 1
            client.subscribe(1, reply["name"], "", mode=native.EXCLUSIVE)
            client.publish(service["id"], b"ping", headers=[(b"reply-to", reply["name"].encode()), (b"correlation-id", b"\x01\xff")])
            ((_, request),) = server.records(1, settle=native.ACCEPT)
            headers = dict(request.headers)
            answer_to = server.describe(headers[b"reply-to"].decode())
            server.publish(answer_to["id"], b"pong", headers=[(b"correlation-id", headers[b"correlation-id"])])
            ((_, answer),) = client.records(1)
            assert answer.value == b"pong" and dict(answer.headers)[b"correlation-id"] == b"\x01\xff"
        wait_until(lambda: reply["name"] not in [topic["name"] for topic in server.topics(native.LIST_TOPICS)], what="the reply topic is gone")


def claim_protocol_operates_topics():
    with Broker() as broker, connect(broker) as client:
        topic = client.create("operated", partitions=3, memory=True, durability=1)
        assert (topic["partitions_wanted"], topic["storage"], topic["durability"]) == (3, 1, 1)
        none = client.create("loose", durability=0)
        assert client.publish(none["id"], b"")["reached"] == 0
        assert client.publish(none["id"], b"", durability=3)["reached"] >= 2, "a publish may strengthen"
        change = struct.pack("<BB", 2, 0) + native.optional(5_000_000) + native.optional(None) * 2
        (changed,) = client.topics(native.ALTER_TOPIC, text("loose") + change)
        assert changed == client.describe("loose") and changed["durability"] == 2 and changed["numbers"][2] == 5_000_000
        for number in range(4):
            client.publish(none["id"], b"%d" % number)
        reader = client.call(native.PURGE, native.optional(0, "i") + native.optional(3) + text("loose"), native.COUNT)
        assert reader.take("q") == 3
        refused(14, client.fetch, none["id"], 0)
        reader = client.call(native.STATISTICS, b"", native.FIGURES)
        figures = reader.list(lambda r: (r.take("d"), r.text()))
        reader.end()
        assert len(figures) > 5
        for number in range(600):
            client.create(f"many-{number}", memory=True)
        names = {listed["name"] for listed in client.topics(native.LIST_TOPICS)}
        assert {"operated", "loose"} <= names and len(names) >= 602
        client.ok(native.DELETE_TOPIC, text("operated"))
        refused(3, client.describe, "operated")
