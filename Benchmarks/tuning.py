#!/usr/bin/env python3
"""What each setting that can be turned gives and costs on this machine: the setting against the default, in turns, medians.

    NEEDLETAIL_BINARY=.build/release/needletail Benchmarks/tuning.py [--seconds 3] [--runs 3] [--only PART …] [--markdown FILE]

Each row is `needletail bench` with the setting given to its broker through the environment (docs/configuration.md).
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess

BINARY = os.environ.get("NEEDLETAIL_BINARY") or str(pathlib.Path(__file__).resolve().parents[1] / ".build/release/needletail")
LATENCY = ["latency", "--durability", "none"]
STREAM = ["stream", "--durability", "none"]

# What is turned: its name, the broker's environment, more words for the bench, and the workload that shows it.
ROWS = [
    ("spin: 20 us", {}, ["--spin", "20 us"], LATENCY),
    ("spin: 100 us", {}, ["--spin", "100 us"], LATENCY),
    ("spin: 100 us, publisher and reader in one thread", {}, ["--spin", "100 us", "--together"], LATENCY),
    ("a unix socket", {}, ["--transport", "unix"], LATENCY),
    ("shared memory", {}, ["--transport", "shm"], LATENCY),
    ("shared memory, spin: 100 us, one thread", {}, ["--transport", "shm", "--spin", "100 us", "--together"], LATENCY),
    ("shared memory", {}, ["--transport", "shm"], STREAM),
    ("a unix socket", {}, ["--transport", "unix"], STREAM),
    ("pin: true", {"NEEDLETAIL_PIN": "true"}, [], STREAM),
    ("pin: true", {"NEEDLETAIL_PIN": "true"}, [], LATENCY),
    ("shards: 2", {"NEEDLETAIL_SHARDS": "2"}, [], STREAM),
    ("driver: epoll", {"NEEDLETAIL_DRIVER": "epoll"}, [], STREAM),
    ("driver: epoll", {"NEEDLETAIL_DRIVER": "epoll"}, [], LATENCY),
    ("min_wait: 50 us", {"NEEDLETAIL_MIN_WAIT": "50 us"}, [], ["ingest", "--producers", "8", "--rate", "40000", "--batch", "1", "--durability", "none"]),
    ("batches of 50 instead of 500", {}, ["--batch", "50", "--window", "160"], STREAM),
    ("batches of 5000", {}, ["--batch", "5000", "--window", "4"], STREAM),
    ("durability group instead of none", {}, ["--durability", "group"], ["ingest"]),
    ("durability each instead of none", {}, ["--durability", "each"], ["ingest"]),
    ("durability group instead of none", {}, ["--durability", "group"], ["latency"]),
    ("segment_size: 1 GiB", {"NEEDLETAIL_TOPICS_SEGMENT_SIZE": "1 GiB"}, [], ["ingest", "--durability", "none"]),
    ("index_interval: 64 KiB", {"NEEDLETAIL_TOPICS_INDEX_INTERVAL": "64 KiB"}, [], ["ingest", "--durability", "none"]),
]


def bench(words, environment, seconds):
    words = words if "--durability" in words else [*words, "--durability", "none"]
    text = subprocess.run(
        [BINARY, "bench", *words, "--seconds", str(seconds), "--json"], env={**os.environ, **environment}, capture_output=True, text=True, check=True).stdout
    found = json.loads(text)
    assert found["lost"] == found["duplicated"] == found["out_of_order"] == 0, found
    return found


def shown(workload, runs):
    def median(key):
        return statistics.median(run[key] for run in runs)

    if workload == "latency":
        return f"p50 {median('p50_us'):.0f} us, p99 {median('p99_us'):,.0f} us, {median('server_cpu_s_per_m'):.0f} CPU us each"
    return f"{median('messages_per_s') / 1e6:.2f} M/s, {median('server_cpu_s_per_m'):.2f} CPU s/M"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    lines = ["| setting | workload | default | with it |", "| --- | --- | --- | --- |"]
    for name, environment, more, workload in ROWS:
        if not any(part in name for part in options.only):
            continue
        plain, turned = [], []
        for _ in range(options.runs):
            plain.append(bench(workload, {}, options.seconds))
            turned.append(bench([*workload, *more], environment, options.seconds))
        lines.append(f"| {name} | {workload[0]} | {shown(workload[0], plain)} | {shown(workload[0], turned)} |")
        print(lines[-1], flush=True)
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
