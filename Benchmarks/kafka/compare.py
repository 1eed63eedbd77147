#!/usr/bin/env python3
"""Runs the same workloads against Apache Kafka and Needletail in turn, and prints a table of the medians.

In every round each server is started afresh, warmed up, measured with every workload, and ended: what drifts on the machine meets all of
them. Called by `run`, which builds the load program.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

import servers

ROOT = pathlib.Path(__file__).resolve().parents[2]
GIB = 1 << 30


def workloads(seconds):
    """Name in the table, and the load program's words."""
    return {
        "ingest 100 B": ("ingest", "size=100", f"seconds={seconds}"),
        "ingest 1 KiB": ("ingest", "size=1024", f"seconds={seconds}"),
        "through 100 B": ("through", "size=100", f"seconds={seconds}"),
        "through 1 KiB": ("through", "size=1024", f"seconds={seconds}"),
        "fan-out 1 to 8, 100 B": ("through", "size=100", "consumers=8", f"seconds={seconds}"),
        "catch-up 1 GiB of 1 KiB": ("catchup", "size=1024", f"bytes={GIB if seconds > 2 else GIB // 8}"),
        "latency 1 k/s, linger 0": ("latency", "size=100", "rate=1000", "linger=0", f"seconds={seconds}"),
        "latency 10 k/s, linger 0": ("latency", "size=100", "rate=10000", "linger=0", f"seconds={seconds}"),
        "latency 10 k/s, linger 0.1 ms": ("latency", "size=100", "rate=10000", "linger=0.1", f"seconds={seconds}"),
    }


# MARK: Running


def load(program, server, words, timeout):
    """One run of the load program; a run that ends badly is a result too."""
    topic = f"load-{time.monotonic_ns()}"
    command = [program, *words, f"bootstrap={server.bootstrap}", f"topic={topic}", f"pid={server.pid}"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {timeout} s"}
    # What the deletion of the topic leaves to do should not be measured with the next run.
    time.sleep(1.5)
    if not ended.stdout:
        return {"error": ended.stderr.strip()[-300:] or f"exit code {ended.returncode}"}
    return json.loads(ended.stdout)


def tool(server, name, *words):
    """One of Kafka's own tools: what it printed, and the server's processor seconds meanwhile."""
    before = processor_seconds(server.pid)
    ended = subprocess.run([servers.KAFKA, name, *words], capture_output=True, text=True, timeout=180)
    if ended.returncode != 0:
        raise RuntimeError((ended.stderr or ended.stdout).strip()[-300:])
    return ended.stdout, processor_seconds(server.pid) - before


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def perf_tools(server, size, seconds):
    """producer-perf, then consumer-perf on what it wrote: the Java client's own figures, JVM start included in the server's time only."""
    topic = f"perf-{time.monotonic_ns()}"
    count = (1_000_000 if size <= 100 else 150_000) * seconds
    try:
        text, cpu = tool(
            server, "producer-perf", "--topic", topic, "--num-records", str(count), "--record-size", str(size), "--throughput", "-1",
            "--producer-props", f"bootstrap.servers={server.bootstrap}", "acks=all", "linger.ms=5", "batch.size=1000000", "buffer.memory=100000000")
        last = [line for line in text.splitlines() if "records sent" in line][-1]
        produced = {"messages_per_s": float(re.search(r"([\d.]+) records/sec", last)[1]), "server_cpu_s_per_m": cpu * 1e6 / count}
        p50, p99 = re.search(r"(\d+) ms 50th.*?(\d+) ms 99th", last).groups()
        produced |= {"p50_us": float(p50) * 1e3, "p99_us": float(p99) * 1e3}
    except Exception as failure:  # the rows beside it still count
        return {"error": str(failure)}, {"error": "nothing to read"}
    try:
        text, cpu = tool(server, "consumer-perf", "--bootstrap-server", server.bootstrap, "--topic", topic, "--messages", str(count), "--timeout", "30000")
        names, values = [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.count(",") > 6][-2:]
        found = dict(zip(names, values))
        fetched = float(found["data.consumed.in.nMsg"])
        consumed = {"messages_per_s": float(found["fetch.nMsg.sec"]), "server_cpu_s_per_m": cpu * 1e6 / fetched, "lost": max(0, count - int(fetched))}
    except Exception as failure:
        consumed = {"error": str(failure)}
    # No more than the disk's room is at stake.
    subprocess.run([servers.KAFKA, "topics", "--bootstrap-server", server.bootstrap, "--delete", "--topic", topic], capture_output=True, timeout=60)
    time.sleep(1.5)
    return produced, consumed


def measure(options):
    chosen = {name: words for name, words in workloads(options.seconds).items() if any(part in name for part in options.only)}
    results = {}
    absent = {}
    for number in range(options.runs):
        for key in options.servers:
            say(f"round {number + 1}: {servers.SERVERS[key][0]}")
            try:
                server = servers.SERVERS[key][1]()
            except servers.Absent as why:
                absent[key] = str(why)
                say(f"  absent: {why}")
                continue
            try:
                for _ in range(1 if key.startswith("needletail") else 2):
                    load(options.load, server, ("through", "size=100", f"seconds={options.warm}"), 120)
                for name, words in chosen.items():
                    keep(results, name, key, load(options.load, server, words, 60 + 10 * options.seconds))
                if options.tools and servers.KAFKA.exists():
                    for size in (100, 1024):
                        produced, consumed = perf_tools(server, size, options.seconds)
                        keep(results, f"producer-perf {size} B", key, produced)
                        keep(results, f"consumer-perf {size} B", key, consumed)
            finally:
                server.stop()
    return results, absent


def keep(results, name, key, found):
    results.setdefault(name, {}).setdefault(key, []).append(found)
    faults = found.get("error") or " ".join(f"{what} {found[what]}" for what in ("lost", "duplicated", "out_of_order", "failed") if found.get(what))
    say(f"  {name:32} {found.get('messages_per_s', 0):12,.0f}/s  {faults}")


def say(text):
    print(text, file=sys.stderr, flush=True)


def floor():
    """What the page cache itself costs here: processor seconds for a GB written to a new file, and again over the same bytes. Where a virtual
    machine's host takes idle memory away, new pages cost many times what used ones do, and every broker pays for each byte that it stores."""
    block = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=os.environ.get("BENCH_DIRECTORY")) as file:
        costs = []
        for _ in range(2):
            file.seek(0)
            before = time.process_time()
            for _ in range(512):
                os.write(file.fileno(), block)
            costs.append((time.process_time() - before) / (512 << 20) * 1e9)
    return costs


# MARK: The table


def median(runs, figure):
    values = [run[figure] for run in runs if figure in run]
    return statistics.median(values) if values else None


def cell(name, runs):
    """What stands in the table for one workload on one server."""
    if not runs:
        return "–"
    good = [run for run in runs if "error" not in run]
    if not good:
        return "failed"
    rate = median(good, "messages_per_s")
    text = f"{rate / 1e6:.2f} M/s" if rate >= 1e6 else f"{rate / 1e3:.0f} k/s"
    if name.startswith("latency"):
        text = f"p50 {median(good, 'p50_us') / 1e3:.2f}, p99 {median(good, 'p99_us') / 1e3:.2f} ms"
        if sum(run["kept_up"] for run in good) * 2 < len(good):
            text = f"falls behind ({rate / 1e3:.1f} k/s)"
    if name.startswith("catch-up"):
        text += f", {median(good, 'server_cpu_s_per_gb'):.2f} CPU s/GB"
    elif name.startswith("latency"):
        text += f", {median(good, 'server_cpu_s_per_m'):.0f} CPU us each"
    else:
        text += f", {median(good, 'server_cpu_s_per_m'):.2f} CPU s/M"
    for what in ("lost", "duplicated", "out_of_order", "failed"):
        count = sum(run.get(what, 0) for run in runs)
        text += f", **{what.replace('_', ' ')} {count}**" if count else ""
    if len(good) < len(runs):
        text += f", {len(runs) - len(good)} of {len(runs)} runs failed"
    return text


def ratio(name, ours, theirs):
    """Ours by theirs: how many times as fast (or as soon, by the median), and with what share of the processor time."""
    ours, theirs = ([run for run in runs if "error" not in run] for runs in (ours, theirs))
    if not ours or not theirs:
        return "–"
    if name.startswith("latency"):
        if not all(run["kept_up"] for run in ours + theirs):
            return "–"
        faster = median(theirs, "p50_us") / median(ours, "p50_us")
    else:
        faster = median(ours, "messages_per_s") / median(theirs, "messages_per_s")
    processor = median(ours, "server_cpu_s_per_m") / median(theirs, "server_cpu_s_per_m")
    return f"{faster:.1f} x, CPU {processor:.2f} x"


def table(results, keys):
    # `group` promises more than Kafka's page cache does, and as much as its flushing.
    pairs = [pair for pair in (("needletail-none", "kafka"), ("needletail-group", "kafka"), ("needletail-group", "kafka-fsync")) if set(pair) <= set(keys)]
    compared = [f"{servers.SERVERS[ours][0].split(', ')[1]} to {servers.SERVERS[theirs][0]}" for ours, theirs in pairs]
    rows = [["workload"] + [servers.SERVERS[key][0] for key in keys] + compared]
    for name, found in results.items():
        ratios = [ratio(name, found.get(ours, []), found.get(theirs, [])) for ours, theirs in pairs]
        rows.append([name] + [cell(name, found.get(key, [])) for key in keys] + ratios)
    loaded = [[[run for name in results if not "-perf" in name for run in results[name].get(key, [])]] for key in keys]
    rows.append(["resident memory at the end, at most"] + [
        " – " if not any("rss_mb" in run for run in runs) else
        f"{max(run.get('rss_mb', 0) for run in runs):,.0f} MB ({max(run.get('anonymous_mb', 0) for run in runs):,.0f} not of files)"
        for (runs,) in loaded] + [""] * len(pairs))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def main():
    parser = argparse.ArgumentParser(prog="Benchmarks/kafka/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("load", help=argparse.SUPPRESS)
    parser.add_argument("--servers", nargs="+", choices=list(servers.SERVERS), default=list(servers.SERVERS))
    parser.add_argument("--only", nargs="+", default=[""], metavar="PART", help="workloads whose name contains one of these")
    parser.add_argument("--seconds", type=int, default=6, help="how long each run produces (6)")
    parser.add_argument("--warm", type=int, default=4, help="how long a warm-up run produces (4); a JVM gets two")
    parser.add_argument("--runs", type=int, default=3, help="how often everything is measured; medians are shown (3)")
    parser.add_argument("--no-tools", dest="tools", action="store_false", help="leave out Kafka's own producer-perf and consumer-perf")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every run there")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE", help="write the table there")
    options = parser.parse_args()
    if any(key.startswith("needletail") for key in options.servers) and not servers.NEEDLETAIL:
        servers.NEEDLETAIL = subprocess.run([ROOT / "tools/build"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    floors = [floor()]
    results, absent = measure(options)
    floors.append(floor())
    versions = {run.get("librdkafka") for found in results.values() for runs in found.values() for run in runs} - {None}
    machine = f"{os.cpu_count()} cores shared by client and broker, Linux {platform.release()}, librdkafka {', '.join(sorted(versions))}"
    present = [key for key in options.servers if key not in absent]
    report = f"{machine}; medians of {options.runs} runs of {options.seconds} s, {time.strftime('%Y-%m-%d')}.\n\n{table(results, present)}\n"
    report += "".join(f"\n{servers.SERVERS[key][0]}: absent: {why}\n" for key, why in absent.items())
    new, used = ([f"{costs[index]:.2f}" for costs in floors] for index in (0, 1))
    report += f"\nWriting to new page cache costs {' and '.join(new)} CPU s/GB here (before and after the runs), over used {' and '.join(used)}.\n"
    print(report, end="")
    if options.markdown:
        head = "# Needletail beside Apache Kafka\n\nMade by `Benchmarks/kafka/run`; what each row is, and what it does not show, says Benchmarks/kafka/README.md.\n"
        options.markdown.write_text(f"{head}\n{report}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "floors": floors, "results": results, "absent": absent}, indent=1) + "\n")
    faults = sum(run.get(what, 0) for found in results.values() for runs in found.values() for run in runs for what in ("lost", "duplicated", "out_of_order"))
    return 0 if present and not faults else 1


if __name__ == "__main__":
    sys.exit(main())
