#!/usr/bin/env python3
"""Runs the same workloads against Needletail and other brokers in turn, and writes tables of the medians.

In every round each broker is started afresh, warmed up, measured with every workload that it has, and ended: what drifts on the machine
meets all of them. A whole measurement of at least three runs replaces its section in docs/benchmarks.md.
"""
import argparse
import json
import os
import pathlib
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import peers
import report

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "Benchmarks/compare"
KAFKA_LOAD = ROOT / "Benchmarks/kafka/.build/load"
FAMILIES = ("redis", "nats", "rabbitmq", "mosquitto", "kafka", "needletail")
FAULTS = ("lost", "duplicated", "out_of_order", "failed")


class Workload:
    """A row of runs: what our load program, Kafka's, and `needletail bench` call it."""

    def __init__(self, name, words, bench, kafka=None):
        self.name, self.words, self.bench, self.kafka = name, words, bench, kafka if kafka is not None else words


def workloads(seconds):
    size = {"100 B": 100, "1 KiB": 1024}
    time_limit, bench_limit = f"seconds={seconds}", ("--seconds", str(seconds))
    backlog = seconds * (64 << 20)
    found = [Workload(f"ingest {name}", ["ingest", f"size={count}", time_limit], ["ingest", "--size", str(count), *bench_limit])
             for name, count in size.items()]
    found += [Workload(f"through {name}", ["through", f"size={count}", time_limit], ["stream", "--size", str(count), *bench_limit])
              for name, count in size.items()]
    for rate in (10000, 50000):
        words = ["latency", "size=128", f"rate={rate}", time_limit]
        found.append(Workload(f"latency {rate // 1000} k/s, 128 B", words, ["latency", "--rate", str(rate), "--size", "128", *bench_limit],
                              [*words, "linger=0.1"]))
    found += [
        Workload("fan-out 1 to 8, 100 B", ["through", "size=100", "consumers=8", time_limit], ["fanout", "--consumers", "8", *bench_limit]),
        Workload("queue, 4 consumers, 100 B", ["queue", "size=100", "consumers=4", time_limit], ["queue", "--consumers", "4", *bench_limit], []),
        # What is read faster than a clock tick of processor time measures is larger; Kafka's program reads it four times.
        Workload("catch-up, 1 KiB", ["catchup", "size=1024", f"bytes={backlog}"],
                 ["catchup", "--size", "1024", "--messages", str(backlog * 8 // 1024)]),
    ]
    return found


class System:
    """A column of the comparison: a broker in one setting, with one client. It has the workloads whose names begin with one of `has`."""

    def __init__(self, name, server, promise, has, load=None, words=(), bench=None):
        self.name, self.server, self.promise, self.has, self.load, self.words, self.bench = name, server, promise, has, load, words, bench

    def can(self, workload):
        return workload.name.startswith(tuple(self.has)) and (self.load != "kafka" or bool(workload.kafka))


ALL = ("ingest", "through", "latency", "fan-out", "queue", "catch-up")
PASSING = ("through", "latency", "fan-out", "queue")  # nothing is kept
LASTING = ("ingest", "through", "latency", "queue")  # for a durability whose reading is as another row's
# JetStream refuses what is more than 10,000 messages ahead of its disk, and acknowledges what it took together only when all is written.
# Mosquitto drops at QoS 0 what a slow subscriber's buffer has no room for. Windows are as large as loses nothing.
SYSTEMS = {
    "redis-always": System("Redis Streams, always", "redis-always", "fsync", LASTING, "redis", ("mode=streams",)),
    "redis-everysec": System("Redis Streams, everysec", "redis-everysec", "page cache, fsync each second",
                             ("ingest", "through", "latency 10", "queue"), "redis", ("mode=streams",)),
    "redis-no": System("Redis Streams, no", "redis-no", "page cache", ALL, "redis", ("mode=streams",)),
    "redis-pubsub": System("Redis PUB/SUB", "redis-no", "nothing, memory", ("through", "latency", "fan-out"), "redis", ("mode=pubsub",)),
    "nats-core": System("NATS core", "nats", "nothing, memory", PASSING, "nats", ("mode=core", "window=50000")),
    "nats-jetstream": System("JetStream", "nats", "page cache, fsync each 2 min", ALL, "nats", ("mode=jetstream", "window=8000", "most=9000")),
    "nats-jetstream-always": System("JetStream, sync always", "nats-always", "fsync", ("ingest", "through", "latency 10", "queue"), "nats",
                                    ("mode=jetstream", "window=1000", "most=9000")),
    "rabbitmq-transient": System("RabbitMQ classic, transient", "rabbitmq", "memory", PASSING, "rabbit", ("mode=transient", "window=5000")),
    "rabbitmq-classic": System("RabbitMQ classic, persistent", "rabbitmq", "fsync in batches, or delivery",
                               ("ingest", "through", "latency 10", "queue", "catch-up"), "rabbit", ("mode=classic", "window=5000")),
    "rabbitmq-quorum": System("RabbitMQ quorum, 1 member", "rabbitmq", "fsync", ("ingest", "through", "latency 10", "queue"), "rabbit",
                              ("mode=quorum", "window=5000")),
    "rabbitmq-stream": System("RabbitMQ stream over AMQP", "rabbitmq", "page cache", ("ingest", "through", "latency 10", "fan-out", "catch-up"), "rabbit",
                              ("mode=stream", "window=5000")),
    "mosquitto-0": System("mosquitto, QoS 0", "mosquitto", "nothing, memory", ("through", "latency", "fan-out"), "mosquitto", ("mode=qos0", "window=2000")),
    "mosquitto-1": System("mosquitto, QoS 1", "mosquitto", "memory", ("through", "latency 10", "fan-out", "queue"), "mosquitto",
                          ("mode=qos1", "window=2000")),
    "kafka": System("Apache Kafka", "kafka", "page cache", ALL, "kafka"),
    "kafka-fsync": System("Apache Kafka, flush each append", "kafka-fsync", "fsync", ("ingest", "through", "latency 10"), "kafka"),
    "needletail-none": System("**Needletail**, `none`", "needletail", "page cache", ALL, bench=("--durability", "none")),
    "needletail-group": System("**Needletail**, `group`", "needletail", "fsync", ALL, bench=("--durability", "group")),
    "needletail-unix": System("**Needletail**, `none`, AF_UNIX", "needletail", "page cache", ("latency 10",),
                              bench=("--durability", "none", "--transport", "unix")),
    "needletail-shm": System("**Needletail**, `none`, shared memory", "needletail", "page cache", ("ingest 100", "through", "latency", "fan-out", "queue"),
                             bench=("--durability", "none", "--transport", "shm")),
    "needletail-spin": System("**Needletail**, `none`, one client thread, spinning", "needletail", "page cache", ("latency 10",),
                              bench=("--durability", "none", "--together", "--wait", "spin", "--spin", "1ms")),
    "needletail-shm-spin": System("**Needletail**, `none`, shared memory, one client thread, spinning", "needletail", "page cache", ("latency 10",),
                                  bench=("--durability", "none", "--transport", "shm", "--together", "--wait", "spin", "--spin", "1ms")),
}


# MARK: Running


def load(system, server, words, timeout):
    """One run of a load program; a run that ends badly is a result too."""
    name = f"load{time.monotonic_ns()}"
    if system.load == "kafka":
        command = [KAFKA_LOAD, *words, f"bootstrap={server.bootstrap}", f"topic={name}", f"pid={server.pid}"]
    else:
        command = [HERE / f".build/load-{system.load}", *words, *system.words, f"port={server.port}", f"name={name}", f"pid={server.pid}"]
    found = run_json(command, timeout)
    if "librdkafka" in found:
        found["client"] = f"librdkafka {found['librdkafka']}"
    # What the end of a topic leaves to do should not be measured with the next run.
    time.sleep(1 if system.load == "kafka" else 0.3)
    return found


def bench(system, words, timeout):
    """One run of `needletail bench`, in the figures of the load programs; it starts a broker of its own. The limits are measured where a table
    shows them (report.floor_rows)."""
    shows_limits = system in (SYSTEMS[key] for key in report.OVER_TCP)
    found = run_json([peers.kafka_servers.NEEDLETAIL, "bench", *words, *system.bench, "--json", *([] if shows_limits else ["--no-echo"])], timeout)
    if "error" in found:
        return found
    fan = found["consumers"] if words[0] == "fanout" else 1
    found["messages_per_s"] = found["delivered_per_s"] or found["messages_per_s"]
    for ours, theirs, scale in (("server_cpu_s_per_m", "server_cpu_s_per_m", 1 / fan), ("rss_mb", "server_resident_bytes", 1e-6),
                                ("anonymous_mb", "server_anonymous_bytes", 1e-6)):
        if found.get(theirs) is not None:
            found[ours] = found[theirs] * scale
    return found


def run_json(command, timeout):
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {timeout} s"}
    except OSError as failure:
        return {"error": str(failure)}
    try:
        found = json.loads(ended.stdout)
    except ValueError:
        return {"error": ended.stderr.strip()[-300:] or f"exit code {ended.returncode}"}
    if ended.returncode != 0:
        found["said"] = ended.stderr.strip()[-300:]
        if not any(found.get(what) for what in FAULTS):
            found["error"] = found["said"] or f"exit code {ended.returncode}"
    return found


def machine():
    """What the system says of its processor and memory."""
    def line(path, name):
        return next((line.split(":", 1)[1].strip() for line in pathlib.Path(path).read_text().splitlines() if line.startswith(name)), "unknown")

    kind = subprocess.run(["stat", "-f", "-c", "%T", peers.DIRECTORY], capture_output=True, text=True).stdout.strip().replace("ext2/ext3", "ext4")
    return {"processor": line("/proc/cpuinfo", "model name"), "memory_gb": int(line("/proc/meminfo", "MemTotal").split()[0]) * 1024 / 1e9, "files": kind}


def measure(options, chosen, systems):
    results, absent, floors = {}, {}, []
    began = time.monotonic()
    for number in range(options.runs):
        floors.append(disk_floor())
        for server_name, start in peers.SERVERS.items():
            here = {key: system for key, system in systems.items() if system.server == server_name and any(system.can(one) for one in chosen)}
            if not here:
                continue
            say(f"round {number + 1}: {server_name}, {time.monotonic() - began:.0f} s after the start")
            try:
                server = start() if start else None
            except peers.Absent as why:
                absent[server_name] = str(why)
                say(f"  absent: {why}")
                continue
            try:
                for key, system in here.items():
                    measure_system(options, chosen, key, system, server, results)
            finally:
                if server:
                    server.stop()
    floors.append(disk_floor())
    return results, absent, floors


def measure_system(options, chosen, key, system, server, results):
    timeout = 90 + 10 * options.seconds
    if server:
        # A JVM gets more.
        for _ in range(2 if system.load == "kafka" else 1):
            warm = max(4, options.warm) if system.load == "kafka" else options.warm
            load(system, server, ["through", "size=100", f"seconds={warm}"], timeout)
    for one in chosen:
        if not system.can(one):
            continue
        began = time.monotonic()
        if server is None:
            found = bench(system, one.bench, timeout)
        else:
            found = load(system, server, one.kafka if system.load == "kafka" else one.words, timeout)
        found["took_s"] = round(time.monotonic() - began, 1)
        results.setdefault(one.name, {}).setdefault(key, []).append(found)
        faults = found.get("error") or " ".join(f"{what} {found[what]}" for what in FAULTS if found.get(what))
        say(f"  {key:24} {one.name:28} {found.get('messages_per_s') or 0:12,.0f}/s  p50 {found.get('p50_us') or 0:10,.0f} us  {faults}")


def disk_floor():
    """What the disk can do: bytes a second where each 16 MiB are followed by fdatasync, and the time of 4 KiB with theirs."""
    block = os.urandom(16 << 20)
    path = peers.DIRECTORY / f"compare-floor-{os.getpid()}"
    with open(path, "wb", buffering=0) as file:
        try:
            began, count = time.monotonic(), 0
            while time.monotonic() - began < 1 and count < 128:
                file.write(block)
                os.fdatasync(file.fileno())
                count += 1
            rate = count * len(block) / (time.monotonic() - began)
            times = []
            for _ in range(200):
                start = time.monotonic()
                file.write(block[:4096])
                os.fdatasync(file.fileno())
                times.append((time.monotonic() - start) * 1e6)
        finally:
            path.unlink()
    times.sort()
    return {"bytes_per_s": rate, "p50_us": times[100], "p99_us": times[198], "p999_us": times[199]}


def say(text):
    print(text, file=sys.stderr, flush=True)


# MARK: The command


def read_options():
    parser = argparse.ArgumentParser(prog="Benchmarks/compare/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2, help="how long each run sends (2); catch-up reads 64 MiB for each, Needletail eight times as much")
    parser.add_argument("--runs", type=int, default=3, help="how often everything is measured; medians are shown (3)")
    parser.add_argument("--warm", type=int, default=1, help="how long a warm-up run sends (1); a JVM gets two of at least 4")
    parser.add_argument("--only", nargs="+", default=[""], metavar="PART", help="workloads whose name contains one of these")
    parser.add_argument("--peers", nargs="+", default=list(FAMILIES), metavar="NAME", help=f"of {', '.join(FAMILIES)}, or of {', '.join(SYSTEMS)}")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every run there")
    parser.add_argument("--docs", type=pathlib.Path, metavar="FILE", help="write the section there, whatever was measured")
    options = parser.parse_args()
    unknown = [name for name in options.peers if name not in SYSTEMS and name not in FAMILIES]
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}")
    options.peers = {name for name in SYSTEMS if name in options.peers or name.split("-")[0] in options.peers}
    for part in options.only:
        if not any(part in one.name for one in workloads(1)):
            parser.error(f"no such workload: {part}")
    return options


def main():
    options = read_options()
    # All on the disk of the broker that `needletail bench` starts.
    tempfile.tempdir = str(peers.DIRECTORY)
    os.environ.pop("BENCH_DIRECTORY", None)
    # So that the brokers are ended then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    systems = {key: SYSTEMS[key] for key in SYSTEMS if key in options.peers}
    chosen = [one for one in workloads(options.seconds) if any(part in one.name for part in options.only)]
    subprocess.run([HERE / "install", *dict.fromkeys(key.split("-")[0] for key in systems)], check=True, stdout=sys.stderr)
    if any(system.bench for system in systems.values()) and not peers.kafka_servers.NEEDLETAIL:
        peers.kafka_servers.NEEDLETAIL = subprocess.run([ROOT / "tools/build"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    if not os.environ.get("NEEDLETAIL_KAFKA"):
        peers.kafka_servers.KAFKA = ROOT.parent / "shared/peers/kafka/kafka"
    load_before = os.getloadavg()[0]
    results, absent, floors = measure(options, chosen, systems)
    results = {one.name: results[one.name] for one in chosen if one.name in results}
    facts = {
        **machine(), "date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "kernel": platform.release(), "seconds": options.seconds, "runs": options.runs,
        "load_before": load_before, "command": shlex.join(["Benchmarks/compare/run", *sys.argv[1:]]),
        "versions": versions(systems, absent),
        "clients": sorted({run["client"] for by in results.values() for runs in by.values() for run in runs if "client" in run}),
    }
    text = report.section(facts, results, systems, absent, floors)
    print(text)
    if options.json:
        options.json.write_text(json.dumps({"facts": facts, "floors": floors, "absent": absent, "results": results}, indent=1) + "\n")
    whole = len(systems) == len(SYSTEMS) and options.only == [""] and options.runs >= 3
    if options.docs or whole:
        report.write(options.docs or ROOT / "docs/benchmarks.md", text)
    faults = [run for by in results.values() for runs in by.values() for run in runs if "error" in run or any(run.get(what) for what in FAULTS)]
    return 1 if faults or not results else 0


def versions(systems, absent):
    kinds = {"redis": peers.Redis, "nats": peers.Nats, "rabbitmq": peers.Rabbit, "mosquitto": peers.Mosquitto, "kafka": peers.Kafka}
    found = {}
    for system in systems.values():
        kind = kinds.get(system.server.split("-")[0])
        if kind and system.server not in absent:
            found[kind.version()] = kind.SETTINGS
        elif not kind:
            found[peers.printed(peers.kafka_servers.NEEDLETAIL, "--version")] = "defaults, driven by `needletail bench` in batches of 500"
    return found


if __name__ == "__main__":
    sys.exit(main())
