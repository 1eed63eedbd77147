"""Shared memory in place of a socket: the C library, clients that die or write garbage, a broker that is killed."""
import functools
import mmap
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import tempfile
import time

from broker import BINARY, Broker, frame, read_frame, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
HELLO = struct.pack("<8sHHIQ", b"NTAIL\r\n\x1a", 1, 1, 64 << 20, 2) + struct.pack("<H", 4) + b"lane"
OPEN_LANE, LANE_OPENED = 0x08, 0x09
# Where the page has what (docs/formats/lane.md).
TO_SERVER_WRITTEN, TO_SERVER_READ, TO_CLIENT_WRITTEN, TO_CLIENT_READ = 128, 256, 384, 512


@functools.cache
def library():
    """A folder with the C library, and the programs of these claims."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="needletail-c-"))
    subprocess.run([ROOT / "tools/libneedletail", folder], check=True, capture_output=True)
    for source in (ROOT / "docs/examples/lane/trades.c", ROOT / "Tests/Acceptance/lane_writer.c"):
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", source, f"-I{folder}", folder / "libneedletail.a", "-o", folder / source.stem], check=True)
    # The header is C++ too, and the shared library has what it promises.
    (folder / "cpp.cpp").write_text('#include <needletail.h>\nint main() { char e[9]; return nt_connect("shm:/nonexistent", e, 9) ? 1 : 0; }\n')
    subprocess.run(["c++", folder / "cpp.cpp", f"-I{folder}", f"-L{folder}", f"-Wl,-rpath,{folder}", "-lneedletail", "-o", folder / "cpp"], check=True)
    return folder


def lane_broker(*flags):
    broker = Broker(*flags)
    broker.socket = broker.home / "native.socket"
    broker.flags = (*flags, "--listen", f"native=unix:{broker.socket}")
    return broker


class RawLane:
    """A client that can write anything anywhere."""

    def __init__(self, broker):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(broker.socket))
        self.socket.sendall(frame(0x01, HELLO))
        assert read_frame(self.socket)[0] == 0x02
        self.socket.sendall(frame(OPEN_LANE, struct.pack("<II", 65536, 65536)))
        data, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 1)
        assert data[4] == LANE_OPENED and len(descriptors) == 1, data
        self.ring = struct.unpack_from("<II", data, 16)
        self.memory = mmap.mmap(descriptors[0], 4096 + sum(self.ring))
        os.close(descriptors[0])

    def word(self, place, value):
        self.memory[place:place + 8] = struct.pack("<Q", value & (1 << 64) - 1)

    def read(self, place):
        return struct.unpack_from("<Q", self.memory, place)[0]

    def room(self):
        return self.ring[0] - (self.read(TO_SERVER_WRITTEN) - self.read(TO_SERVER_READ))

    def write(self, data):
        """Frames, or whatever it is, as a client writes them."""
        written = self.read(TO_SERVER_WRITTEN)
        at = written % self.ring[0]
        first = data[:self.ring[0] - at]
        self.memory[4096 + at:4096 + at + len(first)] = first
        rest = data[len(first):]
        self.memory[4096:4096 + len(rest)] = rest
        self.word(TO_SERVER_WRITTEN, written + len(data))
        self.socket.sendall(b"\0")

    def is_ended(self, seconds=60):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.memory.close()
        self.socket.close()


def claim_the_c_library_publishes_and_reads_over_shared_memory():
    with lane_broker("--wait", "spin") as broker:
        assert subprocess.run([library() / "cpp"]).returncode == 0
        notes = []
        for address, durability in ((f"shm:{broker.socket}", "0"), (f"shm:{broker.socket}", "2"), (f"unix:{broker.socket}", "0")):
            result = subprocess.run([library() / "trades", address, "5000", durability], capture_output=True, text=True, timeout=300)
            assert result.returncode == 0 and "5000 trades, 0 wrong" in result.stdout, result.stdout + result.stderr
            notes.append(result.stdout.split("receive ")[1].split(",")[0])
        refused = subprocess.run([library() / "trades", f"shm:{broker.home}/none", "1"], capture_output=True, text=True)
        assert refused.returncode == 1 and "No such file" in refused.stderr, refused.stderr
        return "publish to receive " + ", ".join(notes)


def claim_the_cli_works_over_shared_memory():
    with lane_broker() as broker:
        address = ["--server", f"shm:{broker.socket}"]
        lines = "".join(f"line {number}\n" for number in range(5000))
        needletail = lambda *words, **more: subprocess.run([BINARY, *words, *address], check=True, capture_output=True, text=True, timeout=300, **more).stdout
        needletail("topic", "create", "t")
        needletail("produce", "t", input=lines)
        assert needletail("consume", "t", "--from", "earliest", "--max", "5000") == lines
        assert "lanes_opened" in needletail("stats", "--all")


def claim_a_lane_is_for_unix_sockets_and_comes_first():
    with lane_broker() as broker, socket.create_connection(("127.0.0.1", broker.port)) as connection:
        connection.sendall(frame(0x01, HELLO))
        assert read_frame(connection)[0] == 0x02
        connection.sendall(frame(OPEN_LANE, struct.pack("<II", 0, 0)))
        kind, body = read_frame(connection)[:2]
        assert kind == 0x05, kind
        # The connection goes on as it was.
        connection.sendall(frame(0x03))
        assert read_frame(connection)[0] == 0x04


def peers(broker):
    """Descriptors of sockets and of shared memory."""
    folder = pathlib.Path(f"/proc/{broker.process.pid}/fd")
    return sum(os.readlink(folder / name).startswith(("socket:", "/memfd:")) for name in os.listdir(folder))


def claim_garbage_in_shared_memory_ends_only_its_own_connection():
    random.seed(11)
    with lane_broker() as broker:
        broker.cli("topic", "create", "t")
        before = peers(broker)
        honest = subprocess.Popen([library() / "trades", f"shm:{broker.socket}", "60000", "2"], stdout=subprocess.PIPE, text=True)

        def impossible_counter(lane):
            place = random.choice((TO_SERVER_WRITTEN, TO_CLIENT_READ))
            lane.word(place, random.choice((1 << 40, (1 << 64) - 1, 65537 + 4096, 1 << 63)))
            lane.socket.sendall(b"\0")
            # The counter of the answers is looked at only when the room that was seen before is used up.
            return place == TO_SERVER_WRITTEN

        def garbage(lane):
            # Its first bytes are no size that could be waited for.
            lane.write(b"\xff\xff\xff\x7f" + random.randbytes(random.randint(16, 60000)))
            return True

        def whole_page(lane):
            lane.memory[0:4096] = random.randbytes(4096)
            lane.socket.sendall(b"\0")
            return True

        def mutated_frames(lane):
            data = bytearray(frame(0x43, struct.pack("<H", 1) + b"t") * 50)
            for _ in range(random.randint(1, 20)):
                data[random.randrange(len(data))] = random.randrange(256)
            lane.write(bytes(data))
            return False

        def changing_under_the_reader(lane):
            good = frame(0x43, struct.pack("<H", 1) + b"t")
            for _ in range(200):
                lane.write(good)
                lane.memory[4096:4096 + lane.ring[0]] = random.randbytes(lane.ring[0])
            return False

        def knocks_without_end(lane):
            for _ in range(2000):
                lane.socket.sendall(b"\0" * 100)
            return False

        ended = 0
        for turn in range(60):
            action = (impossible_counter, garbage, whole_page, mutated_frames, changing_under_the_reader, knocks_without_end)[turn % 6]
            lane = RawLane(broker)
            try:
                must_end = action(lane)
            except (ConnectionError, TimeoutError):
                must_end = False
                ended += 1
            if must_end:
                assert lane.is_ended(), (action.__name__, turn)
                ended += 1
            lane.close()
        output, _ = honest.communicate(timeout=300)
        assert honest.returncode == 0, output
        wait_until(lambda: peers(broker) <= before, 60, "descriptors to come back")
        # A socket is closed a moment before its memory goes.
        mappings = pathlib.Path(f"/proc/{broker.process.pid}/maps")
        wait_until(lambda: "needletail-lane" not in mappings.read_text(), 60, "memory of lanes that are gone to go with them")
        return f"60 hostile lanes, {ended} ended at once; beside them: {output.strip()}"


def claim_a_lane_client_that_reads_nothing_is_ended_and_a_slow_one_is_not():
    with lane_broker() as broker:
        configuration = broker.home / "needletail.yaml"
        configuration.write_text("limits:\n  write_timeout: 5 s\n")
        broker.kill()
        broker.flags = (*broker.flags, "--config", str(configuration))
        broker.start()
        silent, slow = lanes = [RawLane(broker), RawLane(broker)]
        # More answers than the ring to the client holds.
        questions = frame(0x03) * 3000
        for _ in range(3):
            for lane in lanes:
                wait_until(lambda: lane.room() >= len(questions), 60, "room for questions")
                lane.write(questions)
        began, is_over = time.monotonic(), False
        while not is_over or time.monotonic() - began < 8:
            # A few hundred bytes at a time, well within the time-out.
            slow.word(TO_CLIENT_READ, min(slow.read(TO_CLIENT_READ) + 500, slow.read(TO_CLIENT_WRITTEN)))
            slow.socket.sendall(b"\0")
            is_over = is_over or silent.is_ended(0.1)
            assert time.monotonic() - began < 60, "who reads nothing"
            time.sleep(0.1)
        assert not slow.is_ended(0.2), "who reads slowly"
        for lane in lanes:
            lane.close()


def claim_whoever_is_killed_nothing_acknowledged_over_shared_memory_is_lost():
    random.seed(5)
    with lane_broker() as broker:
        broker.cli("topic", "create", "t")
        acknowledged, first, kills = {}, 0, 0
        # Where a writer hardly comes to its work before it is killed, there are more of them.
        for turn in range(160):
            if turn >= 16 and len(acknowledged) > 100:
                break
            writer = subprocess.Popen([library() / "lane_writer", f"shm:{broker.socket}", "t", str(first), "2"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            time.sleep(random.uniform(0.05, 0.4))
            if turn % 4 == 3:
                broker.kill()
                # A client in shared memory learns of it, though nobody wakes it.
                output, _ = writer.communicate(timeout=120)
                assert writer.returncode == 3, writer.returncode
                broker.start()
            else:
                writer.send_signal(signal.SIGKILL)
                output, _ = writer.communicate(timeout=120)
            kills += 1
            for line in output.splitlines():
                words = line.split()
                if len(words) == 2 and line in output[:output.rfind("\n")]:
                    acknowledged[int(words[0])] = int(words[1])
            first = 1_000_000 * (turn + 1)
        assert len(acknowledged) > 100, len(acknowledged)
        stored = stored_numbers(broker)
        for number, offset in acknowledged.items():
            assert stored.get(offset) == f"number {number}", (number, offset, stored.get(offset))
        # What a writer stored is a run of its numbers: nothing twice, nothing skipped.
        runs = {}
        for offset in sorted(stored):
            number = int(stored[offset].split()[1])
            base = number - number % 1_000_000
            assert number == runs.get(base, base), (offset, number)
            runs[base] = number + 1
        return f"{len(acknowledged)} acknowledged, {len(stored)} stored, {kills} kills"


def stored_numbers(broker):
    """offset → payload of everything that is there."""
    count = broker.json("topic", "describe", "t")[0]["partitions"][0]["end"]
    found = {message["offset"]: message["payload"] for message in broker.json("consume", "t", "--from", "earliest", "--max", str(count))}
    assert len(found) == count, (len(found), count)
    return found
