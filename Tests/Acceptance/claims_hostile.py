"""Bytes from outside: a clear error or a close, nobody else affected, the broker lives on."""
import os
import random
import socket
import struct
import subprocess

from broker import BINARY, DRIVER, Broker, frame, hello, read_frame


def ends(connection):
    """Whether the peer closes without ever sending an endless answer."""
    connection.settimeout(15)
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
            [BINARY, "serve", "--data", str(broker.data), "--listen", "native=127.0.0.1:0", "--driver", DRIVER], capture_output=True, timeout=30)
        assert result.returncode == 1 and b"__catalog" in result.stderr, result
