#!/usr/bin/env python3
"""Records what real clients say to the real binary, as seeds for the sessions' fuzz entries.

    record.py FOLDER COMMAND…     runs COMMAND with NEEDLETAIL_KAFKA_TARGET (and, for the CLI, NEEDLETAIL_SERVER) naming a recording proxy
                                  before a broker of its own; writes FOLDER/kafka-session and FOLDER/session

What one connection said is one stream, cut where it repeats itself: a stream is kept when it has a request of an API, version and client
that none before it had. NEEDLETAIL_BINARY names the binary. Everything is on loopback, and ends with COMMAND.

    tools/fuzzer/record.py /tmp/recorded tools/kafka-clients kcat librdkafka pure aio java
"""
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

# Requests of one kind in a stream, and bytes of one stream: what comes later is more of the same.
SAME, LONGEST = 2, 6_000


class Proxy:
    """Passes connections on, and keeps what clients say."""

    def __init__(self, target):
        self.target = target
        self.streams = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            said = bytearray()
            self.streams.append(said)
            threading.Thread(target=pass_on, args=(client, server, said), daemon=True).start()
            threading.Thread(target=pass_on, args=(server, client, None), daemon=True).start()


def pass_on(source, sink, said):
    try:
        while data := source.recv(1 << 16):
            if said is not None and len(said) < 1 << 20:
                said += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            end.close()


def kafka_frames(stream):
    """Whole requests with what they are: API, version, the client's name."""
    at = 0
    while at + 14 <= len(stream):
        size, key, version, _, length = struct.unpack_from(">ihhih", stream, at)
        if size < 10 or at + 4 + size > len(stream):
            return
        name = bytes(stream[at + 14:at + 14 + max(0, length)])
        yield (key, version, name.rstrip(b"0123456789-")[:12]), bytes(stream[at:at + 4 + size])
        at += 4 + size


def native_frames(stream):
    at = 0
    while at + 16 <= len(stream):
        size, kind, flags = struct.unpack_from("<IBB", stream, at)
        if size < 16 or at + size > len(stream):
            return
        yield (kind, flags), bytes(stream[at:at + size])
        at += size


def minimised(streams, frames):
    """The shortest streams first, so that what they have in common is told by the shortest."""
    seen = set()
    for stream in sorted(streams, key=len):
        kept, counts, news = b"", {}, False
        for kind, data in frames(stream):
            counts[kind] = counts.get(kind, 0) + 1
            if counts[kind] > SAME or len(kept) + len(data) > LONGEST:
                continue
            news = news or kind not in seen
            seen.add(kind)
            kept += data
        if news:
            yield kept


def main():
    folder, *command = sys.argv[1:]
    binary = os.environ["NEEDLETAIL_BINARY"]
    with tempfile.TemporaryDirectory() as home:
        ports = []
        for _ in range(2):
            with socket.create_server(("127.0.0.1", 0)) as free:
                ports.append(free.getsockname()[1])
        native, kafka = Proxy(ports[0]), Proxy(ports[1])
        config = pathlib.Path(home) / "config.yaml"
        config.write_text(
            f"listeners:\n  - native=127.0.0.1:{ports[0]}\n"
            f"  - protocol: kafka\n    address: 127.0.0.1:{ports[1]}\n    advertise: 127.0.0.1:{kafka.port}\n")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("NEEDLETAIL_")}
        broker = subprocess.Popen(
            [binary, "serve", "--config", str(config), "--data", home + "/data", "--shards", "1"], stdout=subprocess.PIPE, env=environment)
        try:
            assert broker.stdout.readline(), "the broker does not start"
            code = subprocess.run(command, env=os.environ | {
                "NEEDLETAIL_KAFKA_TARGET": f"127.0.0.1:{kafka.port}", "NEEDLETAIL_SERVER": f"127.0.0.1:{native.port}"}).returncode
        finally:
            broker.terminate()
            broker.wait()
    for name, proxy, frames in (("kafka-session", kafka, kafka_frames), ("session", native, native_frames)):
        target = pathlib.Path(folder) / name
        target.mkdir(parents=True, exist_ok=True)
        kept = list(minimised(proxy.streams, frames))
        for number, stream in enumerate(kept):
            (target / f"recorded-{number:03}").write_bytes(stream)
        print(f"{name}: {len(kept)} of {len(proxy.streams)} streams, {sum(map(len, kept))} bytes")
    return code


if __name__ == "__main__":
    sys.exit(main())
