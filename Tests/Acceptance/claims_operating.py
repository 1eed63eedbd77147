"""What an operator does: start, stop, reload, make mistakes in the configuration, ask for figures."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time

from broker import BINARY, Broker, Skipped, frame, hello, read_frame, run_quietly, wait_until


def run(*arguments, input=None):
    return subprocess.run([BINARY, *arguments], input=input, capture_output=True, timeout=180)


def claim_every_mistake_in_the_configuration_is_reported_with_its_line():
    with Broker() as broker:
        path = broker.home / "wrong.yaml"
        path.write_text(
            "data: /tmp/x\n"
            "drivr: epoll\n"
            "topics:\n"
            "  durability: sometimes\n"
            "  segment_size: 12 parsecs\n"
            "limits:\n"
            "  connections: many\n"
            "listeners:\n"
            "  - protocol: carrier-pigeon\n"
            "    address: 127.0.0.1:7227\n")
        result = run("config", "check", str(path))
        report = (result.stdout + result.stderr).decode()
        assert result.returncode != 0, report
        for line in ("2:", "4:", "5:", "7:", "9:"):
            assert f"wrong.yaml:{line}" in report, f"{line} is missing in:\n{report}"
        assert "driver" in report
        return f"{report.count('wrong.yaml:')} faults in one report"


def claim_a_remote_listener_without_authentication_is_refused():
    with Broker() as broker:
        result = run("serve", "--data", str(broker.home / "other"), "--listen", "native=0.0.0.0:0")
        assert result.returncode != 0
        assert b"insecure_allow_anonymous_remote" in result.stderr


def claim_two_brokers_never_share_a_data_directory():
    with Broker() as broker:
        result = run("serve", "--data", str(broker.data), "--listen", "native=127.0.0.1:0")
        assert result.returncode != 0
        assert str(broker.process.pid).encode() in result.stderr, result.stderr


def claim_sigterm_ends_within_five_seconds_and_loses_nothing():
    with Broker("--durability", "interval") as broker:
        broker.cli("topic", "create", "last")
        written = []
        # A machine may stand still for seconds, but not each time.
        for turn in range(3):
            more = [b"%d" % n for n in range(turn * 10_000, (turn + 1) * 10_000)]
            written += more
            broker.cli("produce", "last", input=b"".join(line + b"\n" for line in more))
            code, seconds = broker.terminate()
            assert code == 0, code
            broker.start()
            lines = broker.cli("consume", "last", "--from", "earliest", "--max", str(len(written)), "--format", "raw").stdout.split()
            assert lines == written
            if seconds < 5:
                return f"{seconds:.2f} s"
        raise AssertionError(f"{seconds:.2f} s")


def claim_sighup_reloads_and_says_what_needs_a_restart():
    with Broker() as broker:
        broker.terminate()
        path = broker.home / "needletail.yaml"
        path.write_text("log:\n  level: info\n")
        broker.flags = ("--config", str(path))
        broker.start()
        path.write_text("log:\n  level: debug\ndriver: auto\nshards: 1\ntopics:\n  durability: none\n")
        broker.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reloaded" in broker.log(), 60, "a log line that says reload")
        line = next(line for line in broker.log().splitlines() if "reloaded" in line)
        assert 'changed=log.level,topics.durability' in line.replace('"', "") and "needs_restart=shards" in line.replace('"', ""), line
        path.write_text("log:\n  level: nonsense\n")
        broker.process.send_signal(signal.SIGHUP)
        wait_until(lambda: f"{path}:2" in broker.log() or "needletail.yaml:2" in broker.log(), 60, "the fault of the new file")
        assert broker.process.poll() is None


def claim_limits_and_defaults_change_while_the_broker_runs():
    with Broker() as broker:
        broker.terminate()
        path = broker.home / "needletail.yaml"
        path.write_text("topics: {retention_time: unlimited}\n")
        broker.flags = ("--config", str(path))
        broker.start()
        broker.cli("topic", "create", "before")
        broker.cli("produce", "before", input=b"x" * 5000 + b"\n")
        open_connection = broker.connect()
        open_connection.sendall(hello())
        assert read_frame(open_connection)[0] == 0x02

        def reload(text, count):
            path.write_text(text)
            broker.process.send_signal(signal.SIGHUP)
            wait_until(lambda: broker.log().count("reloaded") == count, 60, "the reload")

        reload("topics: {max_message_size: 2 KiB, durability: each}\nlimits: {topics: 1, connections: 1, route_depth: 3}\ndisk_reserve: 1 MiB\n", 1)
        line = next(line for line in broker.log().splitlines() if "reloaded" in line).replace('"', "")
        assert "changed=disk_reserve,limits.connections,limits.topics,topics.durability,topics.max_message_size" in line, line
        assert "needs_restart=limits.route_depth" in line, line
        # The connection that is there stays; another one is too many.
        open_connection.sendall(frame(0x03, b"", 7))
        assert read_frame(open_connection)[:2] == (0x04, 7)
        with broker.connect() as refused:
            assert refused.recv(1) == b""
        reload("topics: {max_message_size: 2 KiB}\nlimits: {topics: 1}\n", 2)
        assert b"there are 1 topics" in broker.cli("topic", "create", "after", check=False).stderr
        # Topics that do not say otherwise have the new default at once.
        too_large = broker.cli("produce", "before", input=b"x" * 5000 + b"\n", check=False)
        assert too_large.returncode != 0 and b"bytes" in too_large.stderr, too_large
        broker.cli("produce", "before", input=b"small\n")
        path.write_text("limits: {topics: 0}\n")
        broker.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload_refused" in broker.log(), 60, "the fault")
        reload("topics: {max_message_size: 1 MiB}\n", 3)
        broker.cli("produce", "before", input=b"x" * 5000 + b"\n")
        broker.cli("topic", "create", "after")
        open_connection.close()


def claim_a_catalog_that_cannot_be_written_stops_the_broker_with_an_error():
    with Broker() as broker:
        broker.terminate()
        # A write beyond the limit that is set below is to fail, not to end the process.
        broker.before = lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        broker.start()
        names = [f"topic-{n:03}-{'n' * 60}" for n in range(300)]
        for name in names[:200]:
            broker.cli("topic", "create", name)
        catalog = next((broker.data / "__catalog").glob("*.log"))
        limit = broker.errors.stat().st_size + 4096
        assert catalog.stat().st_size > limit, "the limit would hit the log of the test first"
        broker.cli("produce", names[0], input=b"kept\n")
        # Writes beyond it fail from now on: in the catalog all, in this topic's log none.
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        refused = broker.cli("topic", "create", names[200], check=False)
        assert refused.returncode != 0, refused
        assert broker.process.wait(timeout=60) == 1, broker.process.returncode
        assert "__catalog" in broker.log() and "level=error" in broker.log(), broker.log()[-1000:]
        broker.start()
        assert len(broker.cli("topic", "list", "--json").stdout.splitlines()) >= 200
        assert broker.cli("consume", names[0], "--format", "raw").stdout == b"kept\n"
        return next(line for line in broker.log().splitlines() if "level=error" in line)


def claim_figures_can_be_read():
    with Broker() as broker:
        broker.cli("topic", "create", "figures")
        broker.cli("produce", "figures", input=b"a\nb\nc\n")
        text = broker.cli("stats", "--json").stdout
        figures = json.loads(text)
        flat = json.dumps(figures)
        assert "needletail_messages_in_total" in flat and "needletail_stage_receive_p99_microseconds" in flat
        assert broker.cli("topic", "list", "--json").stdout.strip()


def claim_every_figure_is_explained():
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs/metrics.md").read_text()
    with Broker() as broker:
        figures = json.loads(broker.cli("stats", "--json", "--all").stdout.splitlines()[-1])
        names = [name.removeprefix("needletail_") for name in figures if name.startswith("needletail_")]
        assert len(names) > 50, figures
        unexplained = []
        for name in names:
            stage = re.fullmatch(r"stage_(\w+?)_(?:p50_microseconds|p99_microseconds|p999_microseconds|total)", name)
            limit = re.fullmatch(r"limit_(\w+)_total", name)
            word = stage.group(1) if stage else limit.group(1) if limit else name
            if f"`{word}`" not in text:
                unexplained.append(name)
        assert not unexplained, unexplained
        return f"{len(names)} figures"


def claim_kafkas_own_decoder_reads_the_segments():
    tool = pathlib.Path(os.environ.get("NEEDLETAIL_KAFKA") or pathlib.Path(__file__).resolve().parents[3] / "shared/peers/kafka/kafka")
    if not tool.exists() or not shutil.which("java"):
        raise Skipped("there is no Apache Kafka beside the checkout (NEEDLETAIL_KAFKA names its script), or no Java")
    with Broker() as broker:
        broker.cli("produce", "read-by-kafka", "--create", "--key", "k", input=b"".join(b"line %d\n" % n for n in range(500)))
        broker.terminate()
        segment = next(broker.data.glob("logs/*/*.log"))
        dumped = subprocess.run([str(tool), "dump-log", "--files", str(segment), "--print-data-log"], capture_output=True, text=True, timeout=300)
        assert dumped.returncode == 0, dumped.stderr
        batches = [line for line in dumped.stdout.splitlines() if line.startswith("baseOffset:")]
        records = [line for line in dumped.stdout.splitlines() if line.startswith("| offset:")]
        assert batches and all("isvalid: true" in line for line in batches), batches
        assert [line.rsplit("payload: ", 1)[1] for line in records] == [f"line {n}" for n in range(500)], records[:3]
        return f"{len(batches)} batches, {len(records)} records"


def claim_a_unix_socket_serves_too():
    with Broker() as broker:
        broker.terminate()
        path = broker.home / "socket"
        broker.flags = ("--listen", f"native=unix:{path}")
        broker.start()
        result = subprocess.run([BINARY, "topic", "list", "--server", f"unix:{path}"], capture_output=True, timeout=180)
        assert result.returncode == 0, result.stderr


def claim_a_missing_broker_is_named():
    result = run("topic", "list", "--server", "127.0.0.1:1")
    assert result.returncode not in (0, 1, 2), result.returncode
    assert b"127.0.0.1:1" in result.stderr and b"needletail serve" in result.stderr


def claim_the_doctor_says_what_to_do_and_the_broker_only_what_was_asked_for():
    def doctor(*words):
        return subprocess.run([BINARY, "doctor", "--json", *words], capture_output=True, text=True, timeout=180)

    crowded = doctor("--shards", "256", "--wait", "spin", "--pin")
    rows = [json.loads(line) for line in crowded.stdout.splitlines()]
    advice = {row["name"]: row["note"] for row in rows if row["section"] == "tuning" and row["verdict"] == "warning"}
    assert crowded.returncode == 1 and {"shards", "wait"} <= set(advice), crowded.stdout
    assert "lower shards" in advice["shards"] and "wait: adaptive" in advice["wait"], advice
    # Nobody has asked for more connections than there are descriptors; here somebody does.
    for asked in (False, True):
        broker = Broker()
        path = broker.home / "needletail.yaml"
        path.write_text("limits:\n  connections: 20000\n" if asked else "")
        broker.flags = ("--config", str(path))
        broker.before = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (12_000, 12_000))
        with broker:
            assert ("few_descriptors" in broker.log()) == asked, broker.log()


def claim_a_congestion_control_that_the_kernel_lacks_is_said():
    with Broker() as broker:
        path = broker.home / "needletail.yaml"
        path.write_text("congestion_control: reno\n")
        shown = run_quietly(BINARY, "config", "print", "--config", str(path))
        assert "\ncongestion_control: reno " in shown, shown
        path.write_text("congestion_control: carrier-pigeon\n")
        result = subprocess.run([BINARY, "config", "check", str(path)], capture_output=True, text=True, timeout=60)
        assert result.returncode == 6 and "needletail.yaml:1" in result.stdout + result.stderr, result
        path.write_text("congestion_control: pigeon\n")
        told = subprocess.run([BINARY, "doctor", "--json", "--config", str(path)], capture_output=True, text=True, timeout=60).stdout
        assert "this kernel has no pigeon" in told, told
