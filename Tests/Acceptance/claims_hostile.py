"""Bytes from outside: a clear error or a close, nobody else affected, the broker lives on."""
import contextlib
import os
import random
import resource
import socket
import struct
import subprocess
import threading
import time

import native
from broker import BINARY, DRIVER, Broker, Skipped, frame, hello, read_frame, wait_until
from crowd import API_VERSIONS, Crowded, Honest, bounded, fetch, figures, kafka_request, kafka_text, metadata


def ends(connection):
    """Whether the peer closes without ever sending an endless answer."""
    connection.settimeout(60)
    total = 0
    try:
        while True:
            data = connection.recv(65536)
            if not data:
                return True
            total += len(data)
            assert total < 1 << 20
    except ConnectionError:
        return True


def claim_hostile_bytes_end_only_their_own_connection():
    with Broker() as broker:
        for name in ("calm", "prey"):
            broker.cli("topic", "create", name)
        honest = broker.connect()
        honest.sendall(hello())
        assert read_frame(honest)[0] == 0x02
        random.seed(7)
        hostile = [
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(100),
            struct.pack("<I", 0xFFFFFFFF) + b"\x01" * 64,
            struct.pack("<I", 0) + b"\x00" * 64,
            struct.pack("<I", 15) + b"\x01" * 64,
            frame(0x11, b"\x00" * 64),
            frame(0x01, b"WRONGMAG" + b"\x00" * 40),
            hello() + frame(0x7F, b""),
            hello() + frame(0x34, b"\x00" * 64),
            hello() + hello(),
            hello() + struct.pack("<IBBHQ", 0x7FFFFFFF, 0x11, 0, 0, 1) + b"x" * 100,
        ] + [random.randbytes(random.randint(1, 4000)) for _ in range(200)] + [hello() + random.randbytes(random.randint(1, 4000)) for _ in range(200)]
        for data in hostile:
            with broker.connect() as connection:
                try:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                except ConnectionError:
                    pass
                assert ends(connection)
        # Mutations of a valid conversation: every byte of a few requests flipped in turn. One of them deletes the topic it names.
        valid = hello() + frame(0x43, struct.pack("<H", 4) + b"prey", 2) + frame(0x44, b"", 3) + frame(0x52, b"", 4)
        for at in range(len(valid)):
            data = bytearray(valid)
            data[at] ^= 1 << (at % 8)
            with broker.connect() as connection:
                try:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                except ConnectionError:
                    pass
                assert ends(connection)
        honest.sendall(frame(0x03, b"", 9))
        assert read_frame(honest)[:2] == (0x04, 9)
        assert broker.process.poll() is None
        broker.cli("produce", "calm", input=b"still here\n")
        assert broker.cli("consume", "calm", "--from", "earliest", "--max", "1", "--format", "raw").stdout.startswith(b"still here")
        log = broker.log()
        assert len(log) < 200_000, f"hostile peers wrote {len(log)} bytes of log"
        return f"{len(hostile) + len(valid)} hostile connections"


def claim_frames_one_byte_at_a_time_are_understood():
    with Broker() as broker:
        with broker.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in hello() + frame(0x03, b"", 5):
                connection.sendall(bytes([byte]))
            assert read_frame(connection)[0] == 0x02
            assert read_frame(connection)[:2] == (0x04, 5)


def claim_damage_on_disk_is_named_and_touches_nothing_else():
    with Broker() as broker:
        for name in ("sound", "damaged"):
            # One after the other, so that sound batches lie behind the broken one.
            for first in range(0, 2000, 500):
                broker.cli("produce", name, "--create", input=b"".join(b"line %d\n" % n for n in range(first, first + 500)))
        identity = broker.json("topic", "describe", "damaged")[0]["id"]
        broker.terminate()
        log = broker.data / "logs" / f"{identity}-0"
        segment = next(log.glob("*.log"))
        with open(segment, "r+b") as file:
            file.seek(segment.stat().st_size // 2)
            file.write(b"\xff" * 4)
        verified = subprocess.run([BINARY, "log", "verify", str(log)], capture_output=True, timeout=60)
        assert verified.returncode == 5 and b"checksum" in verified.stdout, verified
        # Whoever reads it is told, and gets no damaged record; everybody else goes on.
        broker.start()
        read = broker.cli("consume", "damaged", "--format", "raw", check=False)
        assert read.returncode == 5 and b"checksum" in read.stderr, read
        assert all(line.startswith(b"line ") for line in read.stdout.splitlines())
        assert broker.cli("consume", "sound", "--format", "raw").stdout.count(b"\n") == 2000
        broker.kill()
        # Without its checkpoint nobody knows what of the log was durable: a hole is refused at start, never cut off, and named.
        (log / "checkpoint").unlink()
        size = segment.stat().st_size
        broker.start()
        described = broker.json("topic", "describe", "damaged")[0]
        assert broker.cli("consume", "sound", "--format", "raw").stdout.count(b"\n") == 2000
        assert segment.stat().st_size == size, "something was cut off"
        fault = described["partitions"][0]["fault"]
        assert fault and "damaged" in fault and segment.name in fault, described
        return f"after the checkpoint was lost too: {fault}"


def claim_garbage_in_the_data_directory_is_survived():
    with Broker() as broker:
        broker.cli("produce", "kept", "--create", input=b"one\ntwo\n")
        broker.terminate()
        random.seed(11)
        logs = broker.data / "logs"
        (logs / "1-0" / "spare-9.tmp").write_bytes(random.randbytes(5000))
        (logs / "1-0" / "notes.txt").write_bytes(b"somebody was here")
        (logs / "..strange").mkdir()
        (logs / "4294967295-0").mkdir()
        (logs / "77-0").mkdir()
        (logs / "77-0" / "00000000000000000000.log").write_bytes(random.randbytes(70000))
        for name in ("00000000000000000000.index", "00000000000000000000.timeindex"):
            (logs / "1-0" / name).write_bytes(random.randbytes(333))
        broker.start()
        assert broker.cli("consume", "kept", "--format", "raw").stdout == b"one\ntwo\n"
        broker.kill()
        # The broker's own catalog: nothing can be guessed without it, so the start is refused, with the path.
        catalog = broker.data / "__catalog" / "00000000000000000000.log"
        content = bytearray(catalog.read_bytes())
        content[len(content) // 2] ^= 0xFF
        catalog.write_bytes(content)
        result = subprocess.run(
            [BINARY, "serve", "--data", str(broker.data), "--listen", "native=127.0.0.1:0", "--driver", DRIVER], capture_output=True, timeout=180)
        assert result.returncode == 1 and b"__catalog" in result.stderr, result


# Slow and greedy peers: what each may take is bounded, and honest clients beside them go on. Latencies are printed; a shared machine has its own.


def hold(seconds, look, step=lambda: None):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        step()
        look()
        time.sleep(0.1)


def claim_hostile_crowds_leave_honest_clients_alone():
    broker = Crowded(
        handshake_timeout="5 s", frame_timeout="5 s", write_timeout="6 s", outbox_size="1 MiB", input_memory="64 MiB", topics=2000, unsettled_per_consumer=10_000)
    mebibyte, each = 1 << 20, 16 << 10
    with broker, Honest(broker) as honest, native.connect(broker) as client:
        topic = client.create("data")["id"]
        batch = native.make_batch([b"x" * 1000] * 900)
        for _ in range(16):
            client.publish_batch(topic, batch)
        with honest.phase("quiet"):
            time.sleep(2)

        with honest.phase("slowloris"), bounded(broker, 32 * mebibyte + 400 * each, "slowloris") as look, contextlib.ExitStack() as stack:
            drips = []
            for number in range(400):
                connection = stack.enter_context(broker.connect_kafka() if number % 2 else broker.connect())
                if number % 4 >= 2:
                    # In the middle of a frame instead of in the handshake.
                    connection.sendall(API_VERSIONS + struct.pack(">ih", 60_000, 0) if number % 2 else hello() + struct.pack("<IBBHQ", 60_000, 0x10, 0, 0, 1))
                drips.append(connection)
            hold(4, look, lambda: [drip(connection) for connection in drips[::5]])
            wait_until(lambda: broker.figures()["connections"] < 10, 60, "all of them are closed")

        with honest.phase("never reading"), bounded(broker, 64 * mebibyte + 60 * mebibyte, "never reading") as look, contextlib.ExitStack() as stack:
            deaf = []
            for number in range(30):
                one = stack.enter_context(native.connect(broker))
                one.send(native.SUBSCRIBE, greedy_subscription("data"))
                kafka = stack.enter_context(broker.connect_kafka())
                kafka.settimeout(0.2)
                with contextlib.suppress(OSError):
                    kafka.sendall(fetch("data") * 50)
                deaf += [one.socket, kafka]
            hold(5, look)
            wait_until(lambda: broker.reached("write_timeout") >= len(deaf) * 9 // 10, 60, "the write deadline")

        with honest.phase("bombs"), bounded(broker, 64 * mebibyte, "bombs") as look, contextlib.ExitStack() as stack:
            for data in bombs():
                for connect in (broker.connect, broker.connect_kafka):
                    with contextlib.suppress(OSError):
                        connection = stack.enter_context(connect())
                        connection.sendall(data)
            hold(1, look)

        with honest.phase("reconnect storm"), bounded(broker, 64 * mebibyte, "reconnect storm") as look:
            count, until = 0, time.monotonic() + 3
            while time.monotonic() < until:
                with broker.connect() as one, broker.connect_kafka() as other:
                    one.sendall(hello() if count % 3 else b"")
                    other.sendall(API_VERSIONS if count % 3 else b"\x00")
                count += 2
            look()

        with honest.phase("floods of topics"), bounded(broker, 64 * mebibyte, "floods of topics") as look, contextlib.ExitStack() as stack:
            native_flood, kafka_flood = stack.enter_context(native.connect(broker)), stack.enter_context(broker.connect_kafka())
            threading.Thread(target=drain_quietly, args=(native_flood.socket,), daemon=True).start()
            threading.Thread(target=drain_quietly, args=(kafka_flood,), daemon=True).start()
            options = native.topic_options()
            for start in range(0, 2500, 100):
                native_flood.socket.sendall(b"".join(native_flood.frame(native.CREATE_TOPIC, native.text(f"flood-{n}") + options) for n in range(start, start + 100)))
                kafka_flood.sendall(metadata(*(f"kafka-flood-{n}" for n in range(start, start + 100))))
                look()
            wait_until(lambda: broker.figures()["topics"] == 2000 and broker.reached("topics") > 0, 120, "as many topics as there may be, and no more")
            native_flood.socket.shutdown(socket.SHUT_RDWR)
            kafka_flood.shutdown(socket.SHUT_RDWR)

        with honest.phase("questions and no reading"), bounded(broker, 64 * mebibyte, "questions and no reading") as look, contextlib.ExitStack() as stack:
            for _ in range(5):
                kafka = stack.enter_context(broker.connect_kafka())
                kafka.settimeout(0.2)
                with contextlib.suppress(OSError):
                    # Each is answered with all topics.
                    kafka.sendall(kafka_request(3, 1, struct.pack(">i", -1)) * 2000)
                look()
            hold(2, look)

        with honest.phase("behind a fetch"), bounded(broker, 48 * mebibyte, "behind a fetch") as look, contextlib.ExitStack() as stack:
            for _ in range(10):
                kafka = stack.enter_context(broker.connect_kafka())
                kafka.settimeout(0.2)
                with contextlib.suppress(OSError):
                    kafka.sendall(fetch("data", wait=5_000, least=1 << 30) + API_VERSIONS * 1_000_000)
                look()
            hold(1, look)

        with honest.phase("endless credit"), bounded(broker, 64 * mebibyte, "endless credit") as look, contextlib.ExitStack() as stack:
            for number in range(10):
                one = stack.enter_context(native.connect(broker))
                # A thread that reads keeps the socket open beyond its close.
                stack.callback(one.socket.shutdown, socket.SHUT_RDWR)
                threading.Thread(target=drain_quietly, args=(one.socket,), daemon=True).start()
                one.send(native.SUBSCRIBE, greedy_subscription("data", f"greedy-{number}", native.SHARED, 1))
                for _ in range(100):
                    one.credit(1, 0x7FFFFFFF, 0x7FFFFFFFFFFFFFFF)
            wait_until(lambda: broker.reached("unsettled_per_consumer") >= 10, 120, "no more unsettled deliveries than allowed")
            assert broker.figures()["in_flight"] <= 10 * 10_000
            look()
        log = broker.log()
        assert len(log) < 300_000, f"{len(log)} bytes of log"
        return f"native/Kafka, {count} reconnects; {honest.end()}"


def drip(connection):
    with contextlib.suppress(OSError):
        connection.send(b"\x00")


def drain_quietly(connection):
    with contextlib.suppress(OSError):
        while connection.recv(1 << 20):
            pass


def greedy_subscription(topic, name="", mode=native.BROADCAST, form=0):
    head = struct.pack("<IBBxx", 1, mode, form) + native.EARLIEST + struct.pack("<iq", 0x7FFFFFFF, 1 << 62)
    return head + native.subscription_options() + native.text(topic) + native.text(name)


def bombs():
    """Lengths and counts that promise far more than comes; each at both listeners."""
    for size in (0x7FFFFFFF, 0xFFFFFFFF, 60 << 20, 1 << 16):
        yield hello() + struct.pack("<IBBHQ", size, 0x10, 0, 0, 1) + b"x" * 50
        yield struct.pack(">I", size) + b"\x00\x00\x00\x03\x00\x00\x00\x01" + b"\xff" * 50
    for count in (0x7FFFFFFF, 0xFFFFFFFF, 1 << 24):
        yield hello() + frame(native.SETTLE, struct.pack("<II", 1, count) + b"\x00" * 48)
        yield kafka_request(3, 1, struct.pack(">I", count))
        yield kafka_request(1, 4, struct.pack(">iiiibI", -1, 500, 1, 1 << 20, 0, count))
        yield kafka_request(2, 1, struct.pack(">iI", -1, count))
        yield kafka_request(11, 1, kafka_text("g") + struct.pack(">ii", 6000, 6000) + kafka_text("") + kafka_text("consumer") + struct.pack(">I", count))


def claim_thousands_of_silent_connections_keep_nobody_out():
    wanted = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted + 500:
        raise Skipped(f"ulimit -Hn is {hard}, which is too little for {wanted} connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    broker = Crowded("--shards", "1", handshakes=1000, handshake_timeout="5 s")
    with broker, Honest(broker) as honest:
        with honest.phase("quiet"):
            time.sleep(1)
        with honest.phase("silent connections"), bounded(broker, (1000 * 16 << 10) + (32 << 20), "silent connections") as look, contextlib.ExitStack() as stack:
            for number in range(wanted):
                connection = stack.enter_context(broker.connect() if number % 2 else broker.connect_kafka())
                if number % 3 == 0:
                    connection.sendall(b"\x00")
                if number % 500 == 0:
                    look()
                    # New ones get through all the time.
                    with native.connect(broker) as newcomer:
                        newcomer.call(native.PING, b"", native.PONG).end()

            def all_are_in_or_out():
                # Some are still to be accepted.
                seen = broker.figures()
                return seen["connections"] <= 1000 + 20 and seen["limit_handshakes_total"] + seen["limit_handshake_timeout_total"] >= wanted - 1000

            wait_until(all_are_in_or_out, 60, lambda: f"all but a thousand are sent away: {broker.figures()}")
        return f"{wanted} silent connections, half of each protocol; {honest.end()}"


def wide_subscribe(client, consumer, name=""):
    body = struct.pack("<IBBxx", consumer, native.EXCLUSIVE, 1) + native.EARLIEST + struct.pack("<iq", 1, 1)
    return client.frame(native.SUBSCRIBE, body + native.subscription_options() + native.text("wide") + native.text(name))


def claim_who_asks_for_much_at_once_keeps_nobody_else_waiting_for_all_of_it():
    """A thousand subscriptions in one segment, each with a place in a thousand partitions."""
    with Broker() as broker, native.connect(broker) as other, native.connect(broker) as client:
        other.create("wide", partitions=1000)
        for attempt in range(10):
            first = 1 + attempt % 2 * 1000
            client.socket.sendall(b"".join(wide_subscribe(client, first + number) for number in range(1000)))
            # What stands behind a ping in the broker is not answered yet when the pong is there, unless this machine has slept meanwhile.
            other.call(native.PING, b"", native.PONG)
            here = figures(other)["consumers"]
            wait_until(lambda: figures(other)["consumers"] == 1000, 120, "all of them, in the end")
            client.socket.sendall(b"".join(client.frame(native.UNSUBSCRIBE, struct.pack("<I", first + number)) for number in range(1000)))
            wait_until(lambda: figures(other)["consumers"] == 0, 120, "none of them")
            if here < 1000:
                break
        assert here < 1000, "a ping waited for all of a thousand subscriptions, ten times"
        assert figures(other)["long_requests_postponed_total"] > 10
        # They come in their order, also when nobody waits for the answers.
        with native.connect(broker) as last:
            names = [f"s{number:03}" for number in range(300)]
            last.socket.sendall(b"".join(wide_subscribe(last, 1 + number, name) for number, name in enumerate(names)))
            last.socket.shutdown(socket.SHUT_WR)
            wait_until(lambda: figures(other)["subscriptions"] == 300, 120, "what was asked for before the end is carried out")
        return f"{here:.0f} of 1000 were there when another was answered"
