"""The real binary under test: starting, killing and asking it, over loopback only."""
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

BINARY = os.environ.get("NEEDLETAIL_BINARY") or str(pathlib.Path(__file__).resolve().parents[2] / ".build/release/needletail")
DRIVER = os.environ.get("NEEDLETAIL_DRIVER", "io_uring")
SHARDS = os.environ.get("NEEDLETAIL_SHARDS")
WAIT = os.environ.get("NEEDLETAIL_WAIT")
# Ports that were given out lately; others who look for one see it.
RESERVED = collections.deque(maxlen=64)


class Skipped(Exception):
    """A claim that this machine cannot try; the message says why."""


class Broker:
    """One `needletail serve` on a free port with a data directory of its own; ended by its process id."""

    def __init__(self, *flags, data=None):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="needletail-test-"))
        self.data = pathlib.Path(data) if data else self.home / "data"
        self.flags = flags
        self.port = free_port()
        self.process = None
        self.driver = DRIVER
        # Called in the new process before it becomes the broker.
        self.before = None
        self.errors = self.home / "stderr"

    @property
    def server(self):
        return f"127.0.0.1:{self.port}"

    def launch(self):
        """Starts the process, and does not wait until it is ready."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("NEEDLETAIL_")}
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--data", str(self.data), "--listen", f"native={self.server}", "--driver", self.driver, *self.shards(), *self.waits(), *self.flags],
                stdout=subprocess.PIPE, stderr=errors, env=environment, cwd=self.home, preexec_fn=self.before)

    def start(self, timeout=180):
        self.launch()
        timer = threading.Timer(timeout, self.process.kill)
        timer.start()
        self.ready_line = self.process.stdout.readline().decode()
        timer.cancel()
        assert self.ready_line, f"the broker did not start: {self.log()}"
        return self

    def shards(self):
        return ["--shards", SHARDS] if SHARDS and not any(str(flag).startswith("--shards") for flag in self.flags) else []

    def waits(self):
        return ["--wait", WAIT] if WAIT and "--wait" not in self.flags else []

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self):
        """Ends it as a service manager would; answers the exit code and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=120)
        return code, time.monotonic() - began

    def log(self):
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cli(self, *arguments, input=None, check=True, timeout=300):
        """Runs a client command and answers what it printed."""
        result = subprocess.run(
            [BINARY, *arguments, "--server", self.server], input=input, capture_output=True, timeout=timeout,
            env={key: value for key, value in os.environ.items() if not key.startswith("NEEDLETAIL_")})
        if check and result.returncode != 0:
            raise AssertionError(f"{arguments} ended with {result.returncode}: {result.stderr.decode(errors='replace')}\n{self.log()[-2000:]}")
        return result

    def json(self, *arguments):
        return [json.loads(line) for line in self.cli(*arguments, "--json").stdout.splitlines() if line.strip()]

    def spawn(self, *arguments, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL):
        return subprocess.Popen([BINARY, *arguments, "--server", self.server], stdout=stdout, stderr=subprocess.PIPE, stdin=stdin)

    def connect(self):
        """A raw connection that has said nothing."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        # Before all of it is gone.
        if kind and not issubclass(kind, Skipped):
            print(self.last_words(), flush=True)
        self.remove()

    def last_words(self):
        """What a claim that failed leaves of its broker: what it is doing, and what it said."""
        threads = []
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*"):
            try:
                threads.append(f"{(task / 'comm').read_text().strip()} in {(task / 'wchan').read_text() or 'user code'}")
            except OSError:
                continue
        end = f"has ended with {self.process.returncode}" if self.process.poll() is not None else f"runs: {', '.join(threads)}"
        return f"the broker {end}; it said:\n{self.log()[-3000:]}"


def run_quietly(*words):
    """What a command prints that has to succeed, without this process's settings."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NEEDLETAIL_")}
    result = subprocess.run(words, capture_output=True, text=True, timeout=300, env=environment)
    assert result.returncode == 0, f"{words} ended with {result.returncode}: {result.stdout}{result.stderr}"
    return result.stdout


def free_port(count=1):
    """A port that nobody has, and as many behind it as are wanted: a listener may have one for each shard.

    The system gives none of these to a client, not even while the broker that wants it is down, and claims that run beside these, in other
    processes, are told by a datagram socket of the same number that somebody has it."""
    while True:
        first, taken, reserved = random.randrange(10_000, 32_000), [], []
        try:
            for port in range(first, first + count):
                for kind, sockets in ((socket.SOCK_DGRAM, reserved), (socket.SOCK_STREAM, taken)):
                    sockets.append(socket.socket(type=kind))
                    sockets[-1].bind(("127.0.0.1", port))
            RESERVED.append(reserved)
            return first
        except OSError:
            continue
        finally:
            for one in taken:
                one.close()


def frame(kind, body=b"", correlation=1, flags=0):
    """A frame of the native protocol (docs/formats/native-protocol.md)."""
    return struct.pack("<IBBHQ", 16 + len(body), kind, flags, 0, correlation) + body


def hello(name="acceptance"):
    text = name.encode()
    return frame(0x01, b"NTAIL\r\n\x1a" + struct.pack("<HHIQ", 1, 1, 1 << 20, 0) + struct.pack("<H", len(text)) + text)


def read_frame(connection):
    head = read_exactly(connection, 16)
    size, kind, _, _, correlation = struct.unpack("<IBBHQ", head)
    return kind, correlation, read_exactly(connection, size - 16)


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError(f"ended after {len(data)} of {count} bytes")
        data += more
    return data


def wait_until(condition, timeout=120, what="condition"):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(0.05)
