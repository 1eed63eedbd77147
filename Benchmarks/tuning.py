#!/usr/bin/env python3
"""What each setting that can be turned gives and costs on this machine: the setting against the default, in turns, medians.

    NEEDLETAIL_BINARY=.build/release/needletail Benchmarks/tuning.py [--seconds 3] [--runs 3] [--only PART …] [--data DIR] [--markdown FILE]

Each row is `needletail bench` with the setting given to its broker through the environment (docs/configuration.md). `--markdown` puts the table
between the two markers of a file that has them, such as docs/tuning.md; without `--only`, so that no row of another day stays.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

BINARY = os.environ.get("NEEDLETAIL_BINARY") or str(pathlib.Path(__file__).resolve().parents[1] / ".build/release/needletail")
MARKERS = "<!-- filled by Benchmarks/tuning.py: begin -->", "<!-- filled by Benchmarks/tuning.py: end -->"

# A workload: what it is called, and the words for the bench.
LATENCY = "latency", ["latency", "--durability", "none"]
LATENCY_50 = "latency at 50 k/s", ["latency", "--durability", "none", "--rate", "50000"]
ONE_THREAD = "latency, publisher and reader in one thread that never sleeps", ["latency", "--durability", "none", "--together"]
LANE = "the same over shared memory", ["latency", "--durability", "none", "--together", "--transport", "shm"]
GROUP = "latency, `group`", ["latency", "--durability", "group"]
STREAM = "stream", ["stream", "--durability", "none"]
INGEST = "ingest", ["ingest", "--durability", "none"]
SINGLES = "ingest, 8 producers of single messages at 40 k/s", [
    "ingest", "--producers", "8", "--rate", "40000", "--batch", "1", "--durability", "none"]
REST = "at rest", None

# What is turned: its name, the broker's environment, more words for the bench, and the workloads that show it.
ROWS = [
    ("`wait: adaptive`", {"NEEDLETAIL_WAIT": "adaptive"}, [], (LATENCY, LATENCY_50, ONE_THREAD, LANE, GROUP, SINGLES, STREAM, INGEST, REST)),
    ("`wait: spin`", {"NEEDLETAIL_WAIT": "spin"}, [], (LATENCY, LATENCY_50, ONE_THREAD, LANE, GROUP, SINGLES, STREAM, INGEST, REST)),
    ("`wait: adaptive`, `spin: 200 us`", {"NEEDLETAIL_WAIT": "adaptive", "NEEDLETAIL_SPIN": "200 us"}, [], (LATENCY, ONE_THREAD, LANE)),
    ("`min_wait: 50 us`", {"NEEDLETAIL_MIN_WAIT": "50 us"}, [], (SINGLES, STREAM, LATENCY)),
    ("`shards: 2`", {"NEEDLETAIL_SHARDS": "2"}, [], (STREAM,)),
    ("`pin: true`", {"NEEDLETAIL_PIN": "true"}, [], (STREAM, LATENCY)),
    ("`driver: epoll`", {"NEEDLETAIL_DRIVER": "epoll"}, [], (STREAM, LATENCY)),
    ("a unix socket", {}, ["--transport", "unix"], (STREAM, LATENCY)),
    ("shared memory", {}, ["--transport", "shm"], (STREAM, LATENCY)),
    ("batches of 50 instead of 500", {}, ["--batch", "50", "--window", "160"], (STREAM,)),
    ("batches of 5000 instead of 500", {}, ["--batch", "5000", "--window", "4"], (STREAM,)),
    ("durability `interval` instead of `none`", {}, ["--durability", "interval"], (INGEST,)),
    ("durability `group` instead of `none`", {}, ["--durability", "group"], (INGEST, LATENCY)),
    ("durability `each` instead of `none`", {}, ["--durability", "each"], (INGEST,)),
    ("`topics.segment_size: 1 GiB`", {"NEEDLETAIL_TOPICS_SEGMENT_SIZE": "1 GiB"}, [], (INGEST,)),
    ("`topics.index_interval: 64 KiB`", {"NEEDLETAIL_TOPICS_INDEX_INTERVAL": "64 KiB"}, [], (INGEST,)),
]


def bench(words, more, environment, options):
    if "--durability" in more:
        at = words.index("--durability")
        words = words[:at] + words[at + 2:]
    where = ["--data", options.data] if options.data else []
    result = subprocess.run(
        [BINARY, "bench", *words, *more, *where, "--seconds", str(options.seconds), "--no-echo", "--json"], env={**os.environ, **environment}, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{words} {more} {environment}: {result.stderr or result.stdout}")
    return json.loads(result.stdout)


def rest(environment, options):
    """How much of a core a broker takes of which nothing is asked, by the ticks of /proc."""
    with tempfile.TemporaryDirectory(dir=options.data) as home:
        words = [BINARY, "serve", "--data", home + "/data", "--listen", f"native=unix:{home}/socket", "--log-level", "error"]
        own = {name: value for name, value in os.environ.items() if name != "NEEDLETAIL_BINARY"}
        with subprocess.Popen(words, env={**own, **environment}, stdout=subprocess.PIPE) as broker:
            try:
                broker.stdout.readline()

                def spent():
                    fields = pathlib.Path(f"/proc/{broker.pid}/stat").read_text().rsplit(")", 1)[1].split()
                    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

                before, began = spent(), time.monotonic()
                time.sleep(options.seconds)
                return {"share": (spent() - before) / (time.monotonic() - began)}
            finally:
                broker.terminate()


def shown(runs):
    def median(key):
        return statistics.median(run[key] for run in runs)

    if "share" in runs[0]:
        return f"{median('share'):.0%} of a core"
    if runs[0]["workload"] == "latency":
        return f"p50 {median('p50_us'):,.1f} us, p99 {median('p99_us'):,.0f} us, {median('server_cpu_s_per_m'):.0f} CPU us each"
    if runs[0]["rate"]:
        return f"p50 {median('p50_us'):,.0f} us, {median('server_cpu_s_per_m'):.1f} CPU s/M"
    return f"{median('messages_per_s') / 1e6:.2f} M/s, {median('server_cpu_s_per_m'):.2f} CPU s/M"


def measure(options):
    """The rows of the table, as they come."""
    for name, environment, more, workloads in ROWS:
        for label, words in workloads:
            if not any(part in f"{name} {label}" for part in options.only):
                continue
            plain, turned = [], []
            for _ in range(options.runs):
                plain.append(rest({}, options) if words is None else bench(words, [], {}, options))
                turned.append(rest(environment, options) if words is None else bench(words, more, environment, options))
            yield f"| {name} | {label} | {shown(plain)} | {shown(turned)} |"


def replaced(text, table):
    """The file's text with the table between its markers."""
    head, begin, rest_of = text.partition(MARKERS[0])
    _, end, tail = rest_of.partition(MARKERS[1])
    if not begin or not end:
        sys.exit(f"the file lacks the markers {MARKERS[0]} and {MARKERS[1]}")
    return f"{head}{begin}\n{table}\n{end}{tail}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--data", help="where the brokers keep their data (default: the temporary directory)")
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    if options.markdown:
        # Better now than after an hour.
        replaced(options.markdown.read_text(), "")
    lines = ["| setting | workload | default | with it |", "| --- | --- | --- | --- |"]
    for line in measure(options):
        lines.append(line)
        print(line, flush=True)
    if options.markdown:
        only = "" if options.only == [""] else " --only " + " ".join(f"'{part}'" for part in options.only)
        version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        head = (
            f"`Benchmarks/tuning.py --seconds {options.seconds} --runs {options.runs}{only}`, {os.cpu_count()} cores shared by broker and clients, "
            f"Linux {platform.release()}, needletail {version}, {datetime.date.today()}; medians, the default and the setting in turns.\n")
        options.markdown.write_text(replaced(options.markdown.read_text(), head + "\n" + "\n".join(lines)))


if __name__ == "__main__":
    main()
