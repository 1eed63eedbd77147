"""Limits on the real binary: what comes beyond one is refused as declared and counted, and whoever keeps within it notices nothing."""
import contextlib
import pathlib
import re
import resource
import socket
import struct
import threading
import time

import native
from broker import hello, read_frame, wait_until
from crowd import API_VERSIONS, Crowded, Limited, figures
from native import Native


def is_closed(connection):
    """Whether the peer has closed without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def is_open(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def claim_one_address_gets_no_more_connections_than_its_share():
    for shards in (1, 3):
        six = None
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            six = probe.getsockname()[1]
        more = ("--listen", f"native=[::1]:{six}") if six else ()
        with Limited("--shards", str(shards), *more, connections_per_address=4) as broker, contextlib.ExitStack() as stack:
            began = time.monotonic()
            mine = [stack.enter_context(Native(broker.connect_from("127.0.0.1"))) for _ in range(4)]
            for _ in range(50):
                assert is_closed(stack.enter_context(broker.connect_from("127.0.0.1")))
            # Other addresses have their own share, whatever the family, and the operator needs none.
            others = [stack.enter_context(Native(broker.connect_from(address))) for address in ("127.0.0.2", "127.0.0.3") for _ in range(4)]
            if six:
                others += [stack.enter_context(Native(broker.connect_from("::1", ("::1", six)))) for _ in range(4)]
                assert is_closed(stack.enter_context(broker.connect_from("::1", ("::1", six))))
            operators = [stack.enter_context(broker.operator()) for _ in range(10)]
            for client in mine + others + operators:
                client.call(native.PING, b"", native.PONG).end()
            refused = 51 if six else 50
            seen = broker.figures()
            assert seen["limit_connections_per_address_total"] == seen["connections_refused_total"] == refused and seen["limit_connections_total"] == 0, seen
            # Twenty in ten seconds.
            lines, most = broker.log().count("connection_refused"), 20 * shards * (1 + int(time.monotonic() - began) // 10)
            assert 1 <= lines <= most, f"{lines} lines of log about {refused} refusals"
            assert "limit=connections_per_address" in broker.log()
            # What is closed makes room.
            mine.pop().socket.close()

            def admitted():
                with broker.connect_from("127.0.0.1") as connection, contextlib.suppress(ConnectionError):
                    connection.sendall(hello())
                    return read_frame(connection)[0] == native.WELCOME

            wait_until(admitted, 60, "a place for another one")
    return f"IPv4{' and IPv6' if six else ''}, one shard and three"


def refusal(code, call, *arguments, **more):
    try:
        call(*arguments, **more)
    except native.Refused as error:
        assert error.code == code and not error.fatal, f"refused with {error} instead of {code}"
        return
    raise AssertionError(f"not refused with {code}")


LIMIT_REACHED, INVALID_NAME = 18, 2


def claim_requests_beyond_a_limit_are_refused_by_its_name_and_counted():
    few = dict(
        topics=4, partitions=8, partitions_per_topic=4, exchanges=2, subscriptions=3, consumers_per_session=2, name_length=20, routing_key_length=8,
        route_depth=2, parked_fetches=1, unsettled_per_consumer=3, listings_per_session=2, descriptions_per_session=2, producers=2)
    # Several shards count subscriptions and waiting fetches each for itself.
    with Limited("--shards", "1", **few) as broker, native.connect(broker) as client, native.connect(broker) as other:
        topic = client.create("first", partitions=4)
        client.create("second", queue=True, until_acknowledged=True)
        seen = {key: 0 for key in few}

        def reached(key, times=1):
            seen[key] += times
            now = broker.figures()
            assert {key: now[f"limit_{key}_total"] for key in few} == seen, f"after {key}: {now}"

        def refused(key, call, *arguments, code=LIMIT_REACHED, **more):
            refusal(code, call, *arguments, **more)
            reached(key)

        refused("name_length", client.create, "n" * 21, code=INVALID_NAME)
        refused("partitions_per_topic", client.create, "wide", partitions=5)
        refused("partitions", client.create, "sum", partitions=4)
        client.create("third")
        client.create("fourth")
        refused("topics", client.create, "fifth")
        for name in ("x", "y"):
            client.call(native.CREATE_EXCHANGE, struct.pack("<B", 2) + native.text(name), native.EXCHANGES)
        refused("exchanges", client.call, native.CREATE_EXCHANGE, struct.pack("<B", 2) + native.text("z"), native.EXCHANGES)
        client.subscribe(1, "first", "a")
        client.subscribe(2, "first", "b")
        refused("consumers_per_session", client.subscribe, 3, "first", "a")
        refused("subscriptions", other.subscribe, 1, "first", "c")
        for consumer in (1, 2):
            client.ok(native.UNSUBSCRIBE, struct.pack("<I", consumer))
        # Fetches that would have to wait are answered at once.
        fetch = struct.pack("<IiqiiI", topic["id"], 0, 0, 1 << 20, 1, 60_000)
        other.send(native.FETCH, fetch)
        other.call(native.PING, b"", native.PONG).end()
        began = time.monotonic()
        client.call(native.FETCH, fetch, native.FETCHED)
        assert time.monotonic() - began < 30
        reached("parked_fetches")
        # No more than three unsettled deliveries, whatever the credit.
        queue = client.describe("second")
        for number in range(10):
            client.publish(queue["id"], b"%d" % number)
        client.subscribe(7, "second", "queue", messages=0x7FFFFFFF, size=1 << 62)
        held = client.records(3)
        assert client.is_quiet()
        seen["unsettled_per_consumer"] = broker.reached("unsettled_per_consumer")
        assert seen["unsettled_per_consumer"] > 0
        for delivery in {id(delivery): delivery for delivery, _ in held}.values():
            client.settle(7, [(delivery.partition, native.ACCEPT, delivery.first, delivery.last)])
        assert len(client.records(3)) == 3
        # The oldest idempotent producers are forgotten.
        for _ in range(3):
            client.call(native.START_PRODUCER, struct.pack("<qh", -1, -1), native.PRODUCER)
        now = broker.figures()
        assert now["limit_producers_total"] == 1, now
        # Questions with large answers: some at a time, the others are refused, and the connection stays.
        for key, kind, body, answer in (("listings_per_session", native.LIST_TOPICS, b"", native.TOPICS), ("descriptions_per_session", native.DESCRIBE_TOPIC, native.text("first"), native.TOPICS)):
            asked = [client.frame(kind, body) for _ in range(20)]
            last = client.correlation
            client.socket.sendall(b"".join(asked))
            good = 0
            for correlation in range(last - 19, last + 1):
                with contextlib.suppress(native.Refused):
                    client.answer(correlation, answer)
                    good += 1
            assert 2 <= good < 20, good
            assert broker.reached(key) == 20 - good
        client.call(native.PING, b"", native.PONG).end()
        return f"{len(few)} limits"


def claim_frames_beyond_their_size_end_the_connection():
    with Limited(frame_size="64 KiB", handshake_size="1 KiB") as broker:
        with native.connect(broker) as client:
            client.socket.sendall(struct.pack("<IBBHQ", (64 << 10) + 1, native.PUBLISH, 0, 0, 1))
            assert b"frame" in drain(client.socket)
        with broker.connect() as connection:
            connection.sendall(struct.pack("<IBBHQ", 1025, native.HELLO, 0, 0, 1))
            drain(connection)
        assert broker.reached("frame_size") == 1 and broker.reached("handshake_size") == 1


def drain(connection):
    """What the peer says until it closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(1 << 16):
            data += more
    return data


def claim_whoever_does_not_say_hello_in_time_goes():
    # More than it may take those who do say it, on a machine that has little time for them.
    broker = Crowded(handshake_timeout="4 s")
    kafka = broker.connect_kafka
    with broker, contextlib.ExitStack() as stack:
        patient = stack.enter_context(native.connect(broker))
        asked = stack.enter_context(kafka())
        asked.sendall(API_VERSIONS)
        assert asked.recv(4)
        late = [stack.enter_context(connect()) for connect in (broker.connect, kafka) for _ in range(3)]
        # Some say nothing, some begin and do not get on.
        for connection in (late[1], late[4]):
            connection.sendall(b"\x00\x00\x00" if connection is late[4] else hello()[:10])
        began = time.monotonic()
        for connection in late:
            drain(connection)
        took = time.monotonic() - began
        assert broker.reached("handshake_timeout") == len(late)
        patient.call(native.PING, b"", native.PONG).end()
        asked.sendall(API_VERSIONS)
        return f"closed after {took:.1f} s"


def claim_the_oldest_handshake_makes_room_for_the_next():
    broker = Crowded("--shards", "1", handshakes=50)
    kafka = broker.connect_kafka
    with broker, contextlib.ExitStack() as stack:
        honest, operator = stack.enter_context(native.connect(broker)), stack.enter_context(broker.operator())
        silent = [stack.enter_context(broker.connect() if number % 2 else kafka()) for number in range(200)]
        # Who comes while many are still to be accepted may be the oldest of them by then.
        wait_until(lambda: figures(operator)["limit_handshakes_total"] >= 150, 60, "the oldest are closed")
        # Whoever says hello gets through, however many do not.
        for _ in range(20):
            with native.connect(broker) as client:
                client.call(native.PING, b"", native.PONG).end()
        # Those that were accepted first, which is nearly the order in which they came.
        assert not any(is_open(connection) for connection in silent[:50]) and sum(map(is_open, silent)) <= 50
        late = stack.enter_context(kafka())
        late.sendall(API_VERSIONS)
        assert late.recv(4)
        honest.call(native.PING, b"", native.PONG).end()


def claim_a_frame_that_does_not_get_on_ends_its_connection():
    broker = Crowded(frame_timeout="5 s")
    kafka = broker.connect_kafka
    with broker, native.connect(broker) as honest, native.connect(broker) as slow, kafka() as slow_kafka, native.connect(broker) as idle:
        topic = honest.create("t", memory=True)
        slow.socket.sendall(struct.pack("<IBBHQ", 50_000, native.PUBLISH, 0, 0, 1))
        slow_kafka.sendall(API_VERSIONS + struct.pack(">ihh", 50_000, 0, 3))
        # A large message over a thin line: slower than the time for a frame, but it gets on.
        large = honest.frame(native.PUBLISH, honest.publish_body(topic["id"], b"x" * 1_000_000))
        ended, sent, began, due = {}, 0, time.monotonic(), 0
        while len(ended) < 2 or sent < len(large):
            now = time.monotonic()
            assert now - began < 60, f"two are slow, and of them were sent away: {list(ended)}"
            if sent < len(large) and now >= due:
                size = 70_000 if len(ended) < 2 or now - began < 7 else len(large)
                honest.socket.sendall(large[sent : sent + size])
                sent, due = sent + size, now + 1
            for name, connection in (("native", slow.socket), ("kafka", slow_kafka)):
                if name not in ended:
                    try:
                        connection.send(b"x")
                    except OSError:
                        ended[name] = True
            time.sleep(0.2)
        assert native.read_published(native.Reader(honest.answer(honest.correlation, native.PUBLISHED)))["count"] == 1
        assert len(ended) == 2 and broker.reached("frame_timeout") == 2, ended
        # Who has begun no frame is not in a hurry.
        idle.call(native.PING, b"", native.PONG).end()


def claim_a_peer_that_takes_nothing_is_closed_and_a_slow_one_is_not():
    with Limited(write_timeout="4 s", outbox_size="64 KiB") as broker, native.connect(broker) as honest:
        queue = honest.create("q", queue=True, until_acknowledged=True, memory=True)
        for _ in range(24):
            honest.publish(queue["id"], b"x" * 900_000)
        stuck, slow = narrow(broker, 4096), narrow(broker, 65_536)
        stuck.subscribe(1, "q", "queue", messages=12, size=1 << 40)
        topic = honest.create("t", memory=True)
        for _ in range(24):
            honest.publish(topic["id"], b"y" * 900_000)
        slow.send(native.SUBSCRIBE, struct.pack("<IBBxx", 1, native.BROADCAST, 0) + native.EARLIEST + struct.pack("<iq", 100, 1 << 40) + native.subscription_options() + native.text("t") + native.text(""))
        taken, began, is_over = 0, time.monotonic(), False
        # Slower than one of the broker's sends may take as a whole.
        while not is_over or time.monotonic() - began < 10:
            more = slow.socket.recv(8_000)
            assert more, f"the slow one was closed after {taken} bytes"
            taken += len(more)
            is_over = is_over or broker.reached("write_timeout") >= 1
            assert time.monotonic() - began < 60, "who takes nothing"
            time.sleep(0.05)
        rate = taken / (time.monotonic() - began)
        while taken < 20_000_000:
            more = slow.socket.recv(1 << 20)
            assert more, f"the slow one was closed after {taken} bytes"
            taken += len(more)
        seen = broker.figures()
        assert seen["limit_write_timeout_total"] == 1, seen
        assert seen["limit_outbox_size_total"] >= 1, seen
        # What the stuck one had is given to others.
        honest.subscribe(1, "q", "queue", messages=100, size=1 << 40)
        assert len(honest.records(24, settle=native.ACCEPT)) == 24
        stuck.socket.close()
        slow.socket.close()
        return f"{rate:.0f} bytes a second were fast enough"


def narrow(broker, size):
    """A client for which its system keeps little."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    connection.connect(("127.0.0.1", broker.port))
    return Native(connection)


def claim_unanswered_publishes_are_waited_for():
    for key, value in (("unanswered_requests", 100), ("unanswered_size", "64 KiB")):
        with Limited(**{key: value}) as broker, native.connect(broker) as client:
            topic = client.create("t")
            body = client.publish_body(topic["id"], b"x" * 1000)
            frames = b"".join(client.frame(native.PUBLISH, body) for _ in range(3000))
            writer = threading.Thread(target=client.socket.sendall, args=(frames,))
            writer.start()
            offsets = [native.read_published(native.Reader(client.answer(correlation, native.PUBLISHED)))["offset"] for correlation in range(client.correlation - 2999, client.correlation + 1)]
            writer.join()
            assert sorted(offsets) == list(range(3000))
            assert broker.reached(key) > 0, key


def claim_memory_for_frames_that_have_begun_is_bounded():
    with Limited("--shards", "1", input_memory="4 MiB", frame_size="4 MiB") as broker, contextlib.ExitStack() as stack:
        honest = stack.enter_context(native.connect(broker))
        topic = honest.create("t", memory=True)
        before = broker.resident_bytes()
        begun = []
        for _ in range(12):
            client = stack.enter_context(native.connect(broker))
            client.socket.sendall(struct.pack("<IBBHQ", 4 << 20, native.PUBLISH, 0, 0, 1) + b"x" * (1 << 20))
            begun.append(client)
        wait_until(lambda: broker.reached("input_memory") >= 8, 60, "the oldest are closed")
        for client in begun[:6]:
            assert drain(client.socket) == b""
        # The newest stay, and who sends whole frames notices nothing.
        for _ in range(10):
            honest.publish(topic["id"], b"y" * 500_000)
        grown = broker.resident_bytes() - before
        assert grown < 32 << 20, f"{grown >> 20} MiB more"
        return f"{grown >> 20} MiB more for 12 MiB of unfinished frames and 5 MB of messages in memory"


def claim_full_memory_slows_publishers_and_then_refuses_them():
    told = []
    for shards in (1, 3):
        with Limited("--shards", str(shards), memory="32 MiB") as broker, contextlib.ExitStack() as stack, broker.operator() as operator:
            queue = operator.create("q", memory=True, queue=True, until_acknowledged=True)
            disk = operator.create("d")
            before, taken, refusals = broker.anonymous_bytes(), [0], []

            def publish(client):
                try:
                    while True:
                        client.publish(queue["id"], b"x" * 100_000)
                        taken[0] += 1
                except native.Refused as refusal:
                    refusals.append(refusal)

            def is_refused():
                # A shard that slept learns of the others' use in the tick of the first.
                for _ in range(2):
                    try:
                        operator.publish(disk["id"], b"y")
                    except native.Refused as refusal:
                        return refusal.code == 18
                return False

            clients = [stack.enter_context(native.connect(broker)) for _ in range(16)]
            # What the last of them had sent makes room again when it is refused: then there is another round.
            for _ in range(8):
                writers = [threading.Thread(target=publish, args=(client,)) for client in clients]
                for writer in writers:
                    writer.start()
                for writer in writers:
                    writer.join(180)
                if is_seen := is_refused():
                    break
            assert is_seen, "publishes to disk are refused as well"
            assert len(refusals) >= 16 and all(each.code == 18 and "limits.memory" in str(each) for each in refusals), refusals
            seen = broker.figures()
            assert seen["limit_memory_total"] >= 16 and seen["receives_paused_total"] >= 8, seen
            assert 28 << 20 <= seen["memory_bytes"] <= 36 << 20 and seen["memory_limit_bytes"] == 32 << 20, seen
            grown = broker.anonymous_bytes() - before
            assert grown < 64 << 20, f"{grown >> 20} MiB more"
            assert "event=memory_full" in broker.log(), broker.log()[-2000:]
            # Who takes makes room.
            worker = stack.enter_context(native.connect(broker))
            worker.subscribe(1, "q", "queue", messages=1000, size=1 << 40)
            assert len(worker.records(taken[0], settle=native.ACCEPT, timeout=180)) == taken[0]
            wait_until(lambda: not is_refused(), 60, "publishes are taken again")
            assert "event=memory_room_again" in broker.log()
            wait_until(lambda: broker.figures()["memory_bytes"] < 8 << 20, 60, "memory is given back")
            operator.publish(queue["id"], b"z")
            told.append(f"{taken[0]} messages of 100 kB, {grown >> 20} MiB more")
    return "; ".join(told)


def claim_compaction_keeps_its_rate():
    with Limited(compaction_rate="64 KiB") as broker, native.connect(broker) as client:
        options = struct.pack("<iBBBB", 1, 0, 0xFF, 2, 0) + native.optional(16 << 10) + native.optional(None) * 4 + native.subscription_options()
        reader = client.call(native.CREATE_TOPIC, native.text("t") + options, native.TOPICS)
        topic = reader.list(native.read_topic)[0]["id"]
        for number in range(110):
            client.publish(topic, b"x" * 1000, key=b"%d" % (number % 10), durability=1)
        wait_until(lambda: broker.figures()["compactions_total"] >= 1, 120, "a pass")
        seen = broker.figures()
        # All of it is read, twice where something is left.
        least = 0.5 * seen["compacted_bytes_total"] / (64 << 10)
        assert seen["compaction_last_seconds"] > least > 0.5, seen
        return f"{seen['compacted_bytes_total']:.0f} bytes fewer in {seen['compaction_last_seconds']:.1f} s"


def claim_too_few_descriptors_end_nothing():
    broker = Limited("--shards", "1")
    broker.before = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
    with broker, contextlib.ExitStack() as stack, native.connect(broker) as client, broker.operator() as operator:
        assert "few_descriptors" in broker.log()
        topics = [client.create(f"t{number}")["id"] for number in range(500)]
        # More connections than may be, and more logs than can be open.
        crowd = [stack.enter_context(broker.connect()) for _ in range(350)]
        wait_until(lambda: figures(operator)["limit_connections_total"] >= 50, 60, "the last are refused")
        for connection in crowd:
            connection.close()
        wait_until(lambda: figures(operator)["connections"] <= 2, 60, "they are gone")
        asked = []
        for topic in topics:
            asked.append(client.send(native.PUBLISH, client.publish_body(topic, b"x")))
        taken = []
        for topic, correlation in zip(topics, asked):
            try:
                client.answer(correlation, native.PUBLISHED)
                taken.append(topic)
            except native.Refused as error:
                assert error.code == LIMIT_REACHED and "descriptors" in str(error), error
        seen = figures(operator)
        assert 50 < len(taken) < 400 and seen["descriptors_low_total"] == 500 - len(taken) and seen["logs_failed_total"] == 0, (len(taken), seen)
        # What is open goes on, and what is deleted makes room.
        for topic in taken:
            client.publish(topic, b"y")
        for number in range(20):
            client.ok(native.DELETE_TOPIC, native.text(f"t{number}"))
        wait_until(lambda: publishes(client, topics[-1]), 60, "room for another log")
        return f"{len(taken)} of 500 logs with 400 descriptors"


def publishes(client, topic):
    with contextlib.suppress(native.Refused):
        return client.publish(topic, b"z")["count"] == 1


def claim_every_limit_has_its_figure():
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs/limits.md").read_text()
    rows = re.findall(r"^\| `limits\.(\w+)` \|.*$", page, re.MULTILINE)
    named = set(re.findall(r"`(limit_\w+_total)`", page))
    with Limited() as broker:
        shown = {name for name in broker.figures() if name.startswith("limit_")}
        assert named == shown, named ^ shown
        return f"{len(rows)} limits, {len(shown)} figures"
