"""Limits on the real binary: what comes beyond one is refused as declared and counted, and whoever keeps within it notices nothing."""
import contextlib
import socket

import native
from broker import Broker, hello, read_frame, wait_until
from native import Native


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

    def connect_from(self, address, to=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family)
        connection.settimeout(20)
        connection.bind((address, 0))
        connection.connect(to or ("127.0.0.1", self.port))
        return connection


def figures(client):
    reader = client.call(native.STATISTICS, b"", native.FIGURES)
    named = {name.removeprefix("needletail_"): value for value, name in reader.list(lambda r: (r.take("d"), r.text()))}
    reader.end()
    return named


def is_closed(connection):
    """Whether the peer has closed without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def claim_one_address_gets_no_more_connections_than_its_share():
    for shards in (1, 3):
        six = None
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            six = probe.getsockname()[1]
        more = ("--listen", f"native=[::1]:{six}") if six else ()
        with Limited("--shards", str(shards), *more, connections_per_address=4) as broker, contextlib.ExitStack() as stack:
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
            lines = broker.log().count("connection_refused")
            assert 1 <= lines <= 20 * shards, f"{lines} lines of log about {refused} refusals"
            assert "limit=connections_per_address" in broker.log()
            # What is closed makes room.
            mine.pop().socket.close()

            def admitted():
                with broker.connect_from("127.0.0.1") as connection, contextlib.suppress(ConnectionError):
                    connection.sendall(hello())
                    return read_frame(connection)[0] == native.WELCOME

            wait_until(admitted, 20, "a place for another one")
    return f"IPv4{' and IPv6' if six else ''}, one shard and three"
