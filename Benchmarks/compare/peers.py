"""The brokers that are compared. Each is started on a free port of loopback in a fresh directory, and ended by its process id."""
import atexit
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# Where `needletail bench` puts its broker's data too: all on one disk.
DIRECTORY = pathlib.Path("/tmp")
HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "kafka"))
import servers as kafka_servers  # noqa: E402  the comparison with Kafka has its server

Absent = kafka_servers.Absent
NATS = HERE / ".build/python/bin/nats-server"
RABBIT = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def printed(*words):
    try:
        ended = subprocess.run(words, capture_output=True, text=True, timeout=30)
    except OSError:
        return ""
    return (ended.stdout + ended.stderr).strip()


def first_number(text):
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else "of unknown version"


class Server:
    """A process that is ready when its port answers, and that ends with us at the latest."""

    def __init__(self):
        atexit.register(self.stop)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="compare-", dir=DIRECTORY))
        self.port = free_port()
        self.processes = []

    def run(self, *words, environment=None):
        with open(self.directory / "output", "ab") as output:
            process = subprocess.Popen(
                [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.directory,
                env=os.environ | (environment or {}), start_new_session=True)
        self.processes.append(process)
        self.pid = process.pid

    def await_port(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.processes[-1].poll() is None:
            if answers(self.port):
                return
            time.sleep(0.05)
        why = (self.directory / "output").read_text(errors="replace").strip()[-300:]
        self.stop()
        raise Absent("did not start: " + why)

    def stop(self):
        atexit.unregister(self.stop)
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Redis(Server):
    # Rewriting its file costs Redis twice; it is off, and so are snapshots and limits of subscribers' buffers.
    SETTINGS = "save '', appendonly yes, auto-aof-rewrite-percentage 0, client-output-buffer-limit pubsub 0 0 0, one thread for input and output"

    def __init__(self, fsync):
        if not shutil.which("redis-server"):
            raise Absent("there is no redis-server")
        super().__init__()
        self.run(
            "redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.directory, "--save", "", "--appendonly", "yes", "--appendfsync", fsync,
            "--auto-aof-rewrite-percentage", 0, "--client-output-buffer-limit", "pubsub 0 0 0", "--daemonize", "no")
        self.await_port(20)

    @staticmethod
    def version():
        return "Redis " + first_number(printed("redis-server", "--version"))


class Nats(Server):
    SETTINGS = "file storage, sync_interval as stated, max_pending 1 GB"

    def __init__(self, sync):
        if not NATS.exists():
            raise Absent("there is no nats-server")
        super().__init__()
        interval = f"sync_interval: {sync}" if sync else ""
        (self.directory / "server.conf").write_text(
            f'listen: "127.0.0.1:{self.port}"\nmax_pending: 1073741824\njetstream {{\n store_dir: "{self.directory}/store"\n'
            f" max_file_store: 20GB\n {interval}\n}}\n")
        self.run(NATS, "-c", self.directory / "server.conf")
        self.await_port(20)

    @staticmethod
    def version():
        return "NATS server " + first_number(printed(NATS, "--version"))


class Rabbit(Server):
    SETTINGS = "defaults of its package, without plugins, guest on loopback, memory high watermark 0.6"

    def __init__(self):
        if not RABBIT.exists():
            raise Absent("there is no rabbitmq-server")
        super().__init__()
        names = free_port()
        (self.directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\nvm_memory_high_watermark.relative = 0.6\ndisk_free_limit.absolute = 100MB\nlog.console = false\n")
        (self.directory / "advanced.config").write_text("[{kernel, [{inet_dist_use_interface, {127,0,0,1}}]}].\n")
        (self.directory / "plugins").write_text("[].\n")
        environment = {
            "HOME": self.directory, "ERL_EPMD_PORT": names, "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_NODENAME": f"compare{self.port}@localhost",
            "RABBITMQ_DIST_PORT": free_port(), "RABBITMQ_MNESIA_BASE": self.directory / "data", "RABBITMQ_LOG_BASE": self.directory / "log",
            "RABBITMQ_CONFIG_FILE": self.directory / "rabbitmq.conf", "RABBITMQ_ADVANCED_CONFIG_FILE": self.directory / "advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.directory / "plugins", "RABBITMQ_PID_FILE": self.directory / "pid",
            # Makes the script become the broker, so that its process is ours.
            "RUNNING_UNDER_SYSTEMD": "yes",
        }
        environment = {name: str(value) for name, value in environment.items()}
        # The broker would leave a port mapper behind; this one ends with it.
        self.run("epmd", "-port", names, "-address", "127.0.0.1", environment=environment)
        self.run(RABBIT, environment=environment)
        self.await_port(90)

    @staticmethod
    def version():
        return "RabbitMQ " + first_number(printed("dpkg-query", "-W", "-f=${Version}", "rabbitmq-server"))


class Mosquitto(Server):
    SETTINGS = "persistence false, max_inflight_messages 0, max_queued_messages 0, set_tcp_nodelay true"

    def __init__(self):
        self.program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if not self.program:
            raise Absent("there is no mosquitto")
        super().__init__()
        # As root it would become another user, who may not read the directory.
        (self.directory / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_inflight_messages 0\nmax_queued_messages 0\n"
            f"set_tcp_nodelay true\nlog_type error\nuser root\n")
        self.run(self.program, "-c", self.directory / "mosquitto.conf")
        self.await_port(20)

    @staticmethod
    def version():
        return "mosquitto " + first_number(printed(shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-h"))


class Kafka:
    """As the comparison with Kafka starts it."""
    SETTINGS = ("one KRaft node, defaults, heap of 1 GB, G1, deleted files go after 0.5 s, log.flush.interval.messages 1 where it flushes; acks all, batches up "
                "to 1 MB, linger 5 ms, at a fixed rate 0.1 ms")

    def __init__(self, flushes):
        if not kafka_servers.KAFKA.exists():
            raise Absent("it is neither in ../shared/peers/kafka nor at $NEEDLETAIL_KAFKA")
        self.server = kafka_servers.Kafka(flushes)
        self.pid, self.bootstrap, self.stop = self.server.pid, self.server.bootstrap, self.server.stop
        self.processes = []

    @staticmethod
    def version():
        return "Apache Kafka 4.1.1"


SERVERS = {
    "redis-always": lambda: Redis("always"),
    "redis-everysec": lambda: Redis("everysec"),
    "redis-no": lambda: Redis("no"),
    "nats": lambda: Nats(None),
    "nats-always": lambda: Nats("always"),
    "rabbitmq": Rabbit,
    "mosquitto": Mosquitto,
    "kafka": lambda: Kafka(False),
    "kafka-fsync": lambda: Kafka(True),
    "needletail": None,  # `needletail bench` starts its own
}
