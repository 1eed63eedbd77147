"""Many connections, many topics. Figures are printed; what is asserted leaves room for a busy machine."""
import resource
import struct
import time

from broker import Broker, frame, hello, read_frame, wait_until

MISSING = -(1 << 63)


def text(value):
    data = value.encode()
    return struct.pack("<H", len(data)) + data


def create_topic(name, correlation):
    options = struct.pack("<iBBBB", 1, 0, 0xFF, 0, 0) + struct.pack("<5q", *[MISSING] * 5)
    subscription = struct.pack("<q", MISSING) + struct.pack("<i", -(1 << 31)) + struct.pack("<H", 0xFFFF)
    return frame(0x40, text(name) + options + subscription, correlation)


def publish(topic, payload):
    fields = struct.pack("<IiBBHiIiHhiqq", topic, 0, 0, 0, 0, -1, 0, len(payload), 0, -1, -1, MISSING, -1)
    return frame(0x10, fields + payload, 1)


def claim_idle_connections_cost_little():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = min(10_000, hard - 200)
    with Broker() as broker:
        connections = []
        for _ in range(50):
            connections.append(greeted(broker))
        time.sleep(2.5)
        before = broker.resident_bytes()
        while len(connections) < wanted:
            connections.append(greeted(broker))
        each = lambda: (broker.resident_bytes() - before) / (wanted - 50)
        # Memory that was needed for the greeting goes a second later, where the machine has a second for it.
        wait_until(lambda: each() < 8192, 60, lambda: f"{each():.0f} bytes each are less than 8192")
        time.sleep(2.5)
        grown = each()
        for connection in connections[::997]:
            connection.sendall(frame(0x03, b"", 3))
            assert read_frame(connection)[0] == 0x04
        for connection in connections:
            connection.close()
        assert grown < 8192, f"{grown:.0f} bytes each"
        return f"{wanted} idle connections, {grown:.0f} bytes of broker memory each"


def greeted(broker):
    connection = broker.connect()
    connection.sendall(hello())
    assert read_frame(connection)[0] == 0x02
    return connection


def claim_ten_thousand_topics_start_quickly():
    with Broker() as broker:
        with broker.connect() as connection:
            connection.sendall(hello())
            read_frame(connection)
            for start in range(0, 10_000, 500):
                connection.sendall(b"".join(create_topic(f"topic-{n}", n + 1) for n in range(start, start + 500)))
                identities = []
                for _ in range(500):
                    kind, _, body = read_frame(connection)
                    assert kind == 0x45, body
                    identities.append(struct.unpack_from("<I", body, 4)[0])
                # A durable message in every fifth, so that there are logs to open; the first flush of a log is several.
                written = identities[4::5]
                connection.sendall(b"".join(publish(identity, b"here") for identity in written))
                for _ in written:
                    kind, _, body = read_frame(connection)
                    assert kind == 0x12, body
        broker.cli("produce", "topic-9999", input=b"kept\n")
        # A machine may stand still for seconds, but not each time.
        for _ in range(3):
            broker.terminate()
            began = time.monotonic()
            broker.start()
            took = time.monotonic() - began
            if took < 15:
                break
        assert broker.cli("consume", "topic-9999", "--from", "earliest", "--max", "2", "--format", "raw").stdout == b"here\nkept\n"
        assert took < 15, took
        return f"10,000 topics, 2,000 of them written, started in {took:.2f} s, {broker.resident_bytes() / 1e6:.0f} MB resident"
