#!/usr/bin/env python3
"""This broker alone, every workload of `needletail bench` over every transport, beside the limits of the machine and what we aim at.

    NEEDLETAIL_BINARY=.build/release/needletail Benchmarks/alone.py [--seconds 2] [--runs 3] [--warm '2 GiB'] [--only PART …] [--docs docs/benchmarks.md]

Each row is the bench with the words that stand in it, the rows taking turns; medians, least and greatest in brackets. --warm lets each run of throughput begin
with memory that the machine has (docs/bench.md); '0 B' measures without. --docs puts the table into that file. Exits 1 where a message was lost,
repeated or out of order.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "compare"))
import report

BINARY = os.environ.get("NEEDLETAIL_BINARY") or str(pathlib.Path(__file__).resolve().parents[1] / ".build/release/needletail")
MARK = "<!-- Benchmarks/alone.py writes from here -->"
NONE, GROUP = ["--durability", "none"], ["--durability", "group"]
SHM, AWAKE = ["--transport", "shm"], ["--wait", "spin", "--spin", "100 us"]

# The words for the bench, and what we aim at: on the machine that the aims were set on, whose echo (42 us) and flush (99 us) were faster.
ROWS = [
    (["ingest", *NONE], "4 M/s, 0.10 CPU s/M"),
    (["ingest", *GROUP], "2.5 M/s, 0.20 CPU s/M"),
    (["ingest", *GROUP, "--size", "1024"], "600 k/s"),
    (["stream", *NONE], "4 M/s"),
    (["stream", *GROUP], ""),
    (["stream", *NONE, "--size", "1024"], "1.2 M/s"),
    (["fanout", *NONE], "10 M/s delivered, 0.05 CPU s/M"),
    (["queue", *GROUP], "1 M/s"),
    (["catchup", *NONE], "4 GB/s, 0.15 CPU s/GB"),
    (["stream", *NONE, *SHM], ""),
    (["stream", *NONE, *SHM, *AWAKE, "--together"], "10 M/s"),
    (["fanout", *NONE, *SHM], ""),
    (["latency", *NONE], "p50 48 us, p99 150 us"),
    (["latency", *NONE, "--rate", "50000"], "p50 50 us"),
    (["latency", *NONE, "--wait", "spin"], "p50 25 us"),
    (["latency", *NONE, *AWAKE, "--together"], "p50 8 us"),
    (["latency", *GROUP], "p50 170 us"),
    (["latency", *NONE, *SHM], ""),
    (["latency", *NONE, *SHM, *AWAKE, "--together"], "p50 1 us, p99 10 us"),
]

WHAT = """\
*Limit*: messages of this size through a raw TCP echo in the same run; of latencies, p50 and p99 at the same rate of that echo and of a relay, which
receives, writes to a file (of `group`, flushes it), sends on over a second connection and answers on the first: the least that a broker does ([bench.md](bench.md)).
Both sleep between messages, or, beside `--together`, are awake; beside `--wait spin` only who passes them on is. Shared memory is no TCP. *Aim*: the targets,
set on a machine of two cores whose echo took 42 us at 10 k/s (6.7 awake) and whose flush 99 us; hold them against that as this machine's against its own.
CPU is the broker's, for a million messages (of fan-out: published ones), or, of latencies, for each in microseconds. Nothing was lost, repeated or out
of order."""


def bench(words, options, *more):
    command = [BINARY, "bench", *words, *more, "--json"]
    if words[0] != "latency":
        command += ["--warm", options.warm]
    if words[0] != "catchup":
        command += ["--seconds", str(options.seconds)]
    done = subprocess.run(command, capture_output=True, text=True)
    if not done.stdout:
        sys.exit(f"{' '.join(words)}: {done.stderr}")
    found = json.loads(done.stdout)
    if any(found[name] for name in ("lost", "duplicated", "out_of_order")):
        sys.exit(f"{' '.join(words)}: lost, repeated or out of order: {done.stdout}")
    found["bytes_per_s"] = found["messages_per_s"] * found["size"]
    return found


def row(words, aim, runs, calls):
    def times(names):
        return ", ".join(f"{label} {report.spread(runs, name, report.figure)}" for label, name in names) + " us"

    workload = words[0]
    if workload == "latency":
        result = times((("p50", "p50_us"), ("p99", "p99_us"))) + f", p99.9 {report.figure(report.median(runs, 'p999_us'))} us"
        cpu = f"{report.figure(report.median(runs, 'server_cpu_s_per_m'))} us each"
        limit = "; ".join(
            f"{name}: p50 {report.figure(report.median(runs, name + '_p50_us'))}, p99 {report.figure(report.median(runs, name + '_p99_us'))} us"
            for name in ("echo", "relay"))
    else:
        result = f"{report.spread(runs, 'delivered_per_s' if workload == 'fanout' else 'messages_per_s', report.rate)}/s"
        if workload == "catchup":
            result += f", {report.figure(report.median(runs, 'bytes_per_s'), 1e-9)} GB/s"
        cpu = f"{report.figure(report.median(runs, 'server_cpu_s_per_m'))} s/M, {report.figure(report.median(runs, 'server_cpu_s_per_gb'))} s/GB"
        limit = f"{report.rate(report.median(runs, 'echo_messages_per_s'))}/s"
    shown = " ".join(f"'{word}'" if " " in word else word for word in words)
    return f"| `{shown}` | {result} | {cpu} | {'–' if calls is None else f'{calls:.3f}'} | {limit} | {aim or '–'} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--warm", default="2 GiB")
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--docs", type=pathlib.Path)
    options = parser.parse_args()
    rows = [(words, aim) for words, aim in ROWS if any(part in " ".join(words) for part in options.only)]
    load = os.getloadavg()[0]
    results = [[] for _ in rows]
    # Latencies first: a host that is given memory back is busy with it.
    for is_latency in (True, False):
        for _ in range(options.runs):
            for (words, _), runs in zip(rows, results):
                if (words[0] == "latency") == is_latency:
                    runs.append(bench(words, options))
    lines = ["| `needletail bench …` | messages | broker's CPU | system calls a message | limit | aim |", "| --- | --- | --- | --- | --- | --- |"]
    # In a run of its own: what counts them takes a part of a microsecond for each.
    calls = [bench(words, options, "--syscalls", "--no-echo")["server_system_calls_per_message"] for words, _ in rows]
    lines += [row(words, aim, runs, count) for (words, aim), runs, count in zip(rows, results, calls)]
    print("\n".join(lines))
    if options.docs:
        version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        command = f"Benchmarks/alone.py --seconds {options.seconds} --runs {options.runs} --warm '{options.warm}'"
        head = (
            f"    {command} --docs docs/benchmarks.md\n\nneedletail {version}, {os.cpu_count()} cores shared by broker and generator, Linux "
            f"{platform.release()}, {datetime.date.today()}; load average before the start {load:.1f}. 100 B (latency 128 B, catch-up 1 KiB), one "
            f"producer, one shard, batches of 500 unless it says otherwise; medians of {options.runs} runs of {options.seconds} s.\n")
        report.write(options.docs, f"{head}\n" + "\n".join(lines) + f"\n\n{WHAT}\n", MARK)


if __name__ == "__main__":
    main()
