#!/usr/bin/env python3
"""What the disk costs a broker: recovery after a kill, first appends, cold readers.

    NEEDLETAIL_BINARY=.build/release/needletail Benchmarks/storage.py recovery [GiB]
    NEEDLETAIL_BINARY=… Benchmarks/storage.py first-appends [TOPICS]
    NEEDLETAIL_BINARY=… Benchmarks/storage.py cold-reader [GiB]

Each prints one JSON object. The page cache is dropped where the user may (root); `disk` is what the disk itself gives, read by four
threads past the page cache, in the same run. Data lies in $TMPDIR.
"""
import json
import mmap
import os
import pathlib
import re
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "Tests/Acceptance"))
import native
from broker import BINARY, Broker

BATCH_BYTES = 1_000_000


def batch(size=BATCH_BYTES, each=10_000):
    return native.make_batch([os.urandom(each) for _ in range(size // each)])


def fill(broker, name, gib, durability=0):
    """A topic with `gib` GiB; 16 batches in flight."""
    with native.Native(broker.connect(), max_frame=8 << 20) as client:
        topic = client.create(name)["id"]
        body = struct.pack("<IiBBH", topic, 0, durability, 0, 0) + batch()
        waiting = []
        for _ in range(gib * (1 << 30) // BATCH_BYTES):
            waiting.append(client.send(native.PUBLISH_BATCH, body))
            if len(waiting) > 16:
                client.answer(waiting.pop(0), native.PUBLISHED)
        for one in waiting:
            client.answer(one, native.PUBLISHED)
        return topic


def drop_caches():
    subprocess.run(["sync"])
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
        return True
    except OSError:
        return False


def disk_seconds(paths, chunk=4 << 20, threads=4):
    """Seconds to read the files past the page cache, several reads in flight."""
    jobs = [(path, at) for path in paths for at in range(0, path.stat().st_size, chunk)]
    jobs.reverse()
    lock = threading.Lock()

    def work():
        room = mmap.mmap(-1, chunk)
        files = {}
        while True:
            with lock:
                if not jobs:
                    break
                path, at = jobs.pop()
            if path not in files:
                files[path] = os.open(path, os.O_RDONLY | os.O_DIRECT)
            os.preadv(files[path], [room], at)
        for file in files.values():
            os.close(file)

    began = time.monotonic()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.monotonic() - began


def recovery(gib=2):
    """The whole log is read and checked: it was killed, and its checkpoint is gone."""
    with Broker("--durability", "none") as broker:
        fill(broker, "big", gib)
        broker.kill()
        directory = max((broker.data / "logs").iterdir(), key=lambda each: sum(file.stat().st_size for file in each.iterdir()))
        files = sorted(directory.glob("*.log"))
        size = sum(file.stat().st_size for file in files) / (1 << 30)
        # Twice: the scan is on the disk by the first.
        runs = []
        for _ in range(2):
            (directory / "checkpoint").unlink(missing_ok=True)
            cold = drop_caches()
            floor = disk_seconds(files)
            drop_caches()
            began = time.monotonic()
            broker.start(timeout=300)
            took = time.monotonic() - began
            broker.kill()
            runs.append({"seconds_per_gib": round(took / size, 3), "disk_seconds_per_gib": round(floor / size, 3), "ratio": round(took / floor, 2)})
        return {"measure": "recovery", "gib": round(size, 2), "cold": cold, "runs": runs}


class Probe(threading.Thread):
    """Another client: publishes one small message after the other and takes down how long each took."""

    def __init__(self, broker, pause=0.002):
        super().__init__()
        self.client = native.Native(broker.connect())
        self.topic = self.client.create("probe")["id"]
        self.client.publish(self.topic, b"first")
        self.pause = pause
        self.ends = threading.Event()
        self.times = []

    def run(self):
        while not self.ends.is_set():
            began = time.monotonic()
            self.client.publish(self.topic, b"probe")
            self.times.append(time.monotonic() - began)
            time.sleep(self.pause)

    def stop(self):
        self.ends.set()
        self.join()
        times = sorted(self.times)
        return {
            "probes": len(times), "probe_p50_ms": round(times[len(times) // 2] * 1e3, 2), "probe_p99_ms": round(times[len(times) * 99 // 100] * 1e3, 2),
            "probe_worst_ms": round(times[-1] * 1e3, 1)}


def first_appends(count=10_000):
    with Broker() as broker, native.Native(broker.connect()) as client:
        client.socket.settimeout(300)
        began = time.monotonic()
        ids = []
        for start in range(0, count, 500):
            asked = [client.send(native.CREATE_TOPIC, native.text(f"t-{n}") + native.topic_options()) for n in range(start, min(count, start + 500))]
            for one in asked:
                reader = native.Reader(client.answer(one, native.TOPICS))
                ids.append(reader.list(native.read_topic)[0]["id"])
        created = time.monotonic() - began
        probe = Probe(broker)
        probe.start()
        time.sleep(1)
        probe.times.clear()
        began = time.monotonic()
        for start in range(0, count, 500):
            asked = [client.send(native.PUBLISH, client.publish_body(topic, b"first")) for topic in ids[start : start + 500]]
            for one in asked:
                client.answer(one, native.PUBLISHED)
        written = time.monotonic() - began
        figures = probe.stop()
        broker.kill()
        began = time.monotonic()
        broker.start(timeout=300)
        restarted = time.monotonic() - began
        return {
            "measure": "first-appends", "topics": count, "created_s": round(created, 2), "written_s": round(written, 2),
            "us_each": round(written / count * 1e6), **figures, "restart_after_kill_s": round(restarted, 2)}


def latency(broker, seconds):
    printed = subprocess.run(
        [BINARY, "bench", "latency", "--server", broker.server, "--rate", "1000", "--seconds", str(seconds), "--durability", "none", "--json"],
        capture_output=True, text=True, timeout=120).stdout
    found = json.loads(printed.splitlines()[-1])
    return {key: found[key] for key in ("p50_us", "p99_us", "p999_us")}


def waits(broker):
    """How often each thread of the broker had to wait for the disk because of a page that it touched (major faults)."""
    found = {}
    for task in pathlib.Path(f"/proc/{broker.process.pid}/task").iterdir():
        name, fields = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        found[name] = found.get(name, 0) + int(fields.split()[9])
    return found


def cold_reader(gib=4):
    """Latency at 1,000 messages a second beside a reader of what is no longer in memory, and beside one of what is."""
    with Broker("--durability", "none") as broker:
        topic = fill(broker, "old", gib)
        broker.terminate()
        result = {"measure": "cold-reader", "gib": gib}
        for name, drops in (("cold", True), ("warm", False)):
            if drops:
                result["cold"] = drop_caches()
            broker.start()
            quiet = latency(broker, 3)
            if drops:
                drop_caches()
            read = {}
            ends = threading.Event()

            def catch_up():
                with native.Native(broker.connect(), max_frame=8 << 20) as client:
                    at, began = 0, time.monotonic()
                    read["bytes"] = 0
                    while not ends.is_set():
                        _, end, content = client.fetch(topic, at, max_bytes=4 << 20)
                        count, place = 0, 0
                        while place + 61 <= len(content):
                            length = struct.unpack_from(">i", content, place + 8)[0] + 12
                            if place + length > len(content):
                                break
                            at = struct.unpack_from(">q", content, place)[0] + struct.unpack_from(">i", content, place + 23)[0] + 1
                            place += length
                        read["bytes"] += place
                        if at >= end:
                            break
                    read["seconds"] = time.monotonic() - began

            before = waits(broker)
            reader = threading.Thread(target=catch_up)
            reader.start()
            beside = latency(broker, 6)
            ends.set()
            reader.join()
            faults = {thread: count - before.get(thread, 0) for thread, count in waits(broker).items() if count > before.get(thread, 0)}
            result[name] = {"major_faults": faults, "quiet": quiet, "beside": beside, "reader_mib_per_s": round(read["bytes"] / read["seconds"] / (1 << 20))}
            broker.terminate()
        return result


if __name__ == "__main__":
    measures = {"recovery": recovery, "first-appends": first_appends, "cold-reader": cold_reader}
    if len(sys.argv) < 2 or sys.argv[1] not in measures:
        sys.exit(__doc__)
    print(json.dumps(measures[sys.argv[1]](*map(int, sys.argv[2:3]))))
