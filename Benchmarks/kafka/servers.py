"""The brokers that are compared: each is started in a fresh directory on a free port of loopback, and ended by its process id."""
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile

KAFKA = pathlib.Path(os.environ.get("NEEDLETAIL_KAFKA", "/nonexistent"))
NEEDLETAIL = os.environ.get("NEEDLETAIL_BINARY", "")


class Absent(Exception):
    """Why a server cannot be measured here."""


def free_ports():
    """A port that is free together with its successor, which Kafka's controller takes."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue


class Server:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="kafka-bench-", dir=os.environ.get("BENCH_DIRECTORY")))
        self.port = free_ports()

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Kafka(Server):
    """Apache Kafka 4.1.1. Its deleted files go at once, not a minute later in the middle of another run."""

    def __init__(self, flushes):
        if not KAFKA.exists():
            raise Absent(f"there is no {KAFKA}")
        if not shutil.which("java"):
            raise Absent("there is no Java 17")
        super().__init__()
        options = ["--fsync"] if flushes else []
        words = [KAFKA, "start", self.directory, str(self.port), *options, "file.delete.delay.ms=500"]
        started = subprocess.run(words, capture_output=True, text=True)
        if started.returncode != 0:
            self.remove()
            raise Absent("did not start: " + started.stderr.strip()[-300:])
        self.pid = int(started.stdout.split()[0])

    def stop(self):
        subprocess.run([KAFKA, "stop", self.directory])
        self.remove()


class Needletail(Server):
    def __init__(self, durability):
        super().__init__()
        words = [NEEDLETAIL, "serve", "--data", self.directory, "--listen", f"kafka={self.bootstrap}", "--durability", durability, "--log-level", "warn"]
        words += os.environ.get("BENCH_SERVE", "").split()
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        # One line on standard output says that every listener is open.
        ready, _, _ = select.select([self.process.stdout], [], [], 20)
        if not ready or not self.process.stdout.readline():
            self.process.kill()
            why = self.process.stderr.read().strip()[-300:]
            self.remove()
            raise Absent("did not start: " + why)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.remove()


SERVERS = {
    "kafka": ("Kafka, page cache", lambda: Kafka(False)),
    "kafka-fsync": ("Kafka, fsync", lambda: Kafka(True)),
    "needletail-none": ("Needletail, `none`", lambda: Needletail("none")),
    "needletail-group": ("Needletail, `group`", lambda: Needletail("group")),
}
