#!/usr/bin/env python3
"""Whether a message costs the same where there is much of everything, and what a broker costs that has nothing to do.

    NEEDLETAIL_BINARY=.build/release/needletail Benchmarks/growth.py [--runs 3] [--messages 3000000] [--only PART …] [--long]
        [--keep DIRECTORY] [--json FILE] [--markdown FILE] [--docs docs/benchmarks.md]

Messages of 100 B in batches of 500, 16 of them in flight, durability `none`. Every message is acknowledged, every delivery and every log
held against what was sent. Two figures, each with a broker of its own: the instructions of the broker's own code for a message, counted by
callgrind once (with the driver epoll, since valgrind knows no io_uring), and its processor time for a million, user and system, as the
median of runs in which the sizes take turns. What is compared is warmed up with as many messages: topics have been written to, connections
used. --long fills a log with 30 GiB too, where 20 GB stay free on the disk of $TMPDIR; --keep keeps what was filled.
--runs 0 only counts, --no-instructions does not.
"""
import argparse
import contextlib
import ctypes
import itertools
import json
import mmap
import os
import pathlib
import platform
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "Tests/Acceptance"), str(HERE / "compare")]
import broker as broker_module
import native
import report
from broker import BINARY, Broker
from growth_client import BATCH, CONTENT, Queue, SIZE, WINDOW, make_topics, open_connections, publish_all, read_all, stored

GIB = 1 << 30
COUNTED = 1_000_000  # messages, whose instructions are counted
SPARE = 20 * 10**9  # of the disk, which stays free
FRONT = 8 << 20  # of each segment
MEMORY_GIB = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // GIB
MARK = "<!-- Benchmarks/growth.py writes from here -->"
TARGET = 20  # per cent
RANDOM = random.Random(7)

WHAT = """\
What the broker spends on messages of 100 B in batches of 500, 16 of them in flight over all connections, durability `none`: its own code's
instructions, which callgrind counted with the driver epoll (medians of six counts, so that what is done every few seconds, whatever comes, is left
out), and, where it stands, all of its processor time, the kernel's included. *growth* is from the first size to the last. *topics*: one
connection publishes to all of them in turn. *connections*: each in turn publishes to one topic. *consumers of one queue*: each a connection
of its own, which takes what it is given and settles it; publishing, delivering and settling together. *append to a log of*: what was in the
log before, from a broker that was stopped. *read*: one batch at a time, in order or from random places; logs of up to half of the memory
are in the page cache, and held there; of the others some is and some is not. *the front of each segment*: 8 MiB of every 64 are held there, and
read, so that the disk has no part in it. *from the disk*: what the system read from it for a message, in the count, and in the last run.
Most of the processor time goes to pages for the page cache, and what one costs depends on when it was last used where the host takes idle
memory back: that is what the spread shows. The client is a Python program on the same two cores; its time is not counted."""


# MARK: What is measured: processor seconds for a million messages, by size


def ready_pages(size):
    """Has memory at hand for so much page cache. On a virtual machine whose host takes idle memory back, what a page costs depends on when
    one was last used, several times over; it should not depend on which size is measured first."""
    with tempfile.TemporaryFile(dir=tempfile.gettempdir()) as file:
        for _ in range(size >> 20):
            file.write(CONTENT[: 1 << 20].ljust(1 << 20))


def seconds(broker, messages, work):
    """Processor seconds for a million messages."""
    ready_pages(messages * (SIZE + 10) * 5 // 4)
    before = on_cores(broker.process.pid)
    work(messages // BATCH)
    return (on_cores(broker.process.pid) - before) * 1e-3 / messages


def on_cores(process):
    """Nanoseconds of processor time of all its threads, user and system."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{process}/task").iterdir())


class Callgrind:
    """Brokers run under it, and what they do is counted while they are asked to work."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="growth-")
        home = pathlib.Path(self.directory.name)
        # Debian's valgrind does not read the debugging information of Swift's compiler.
        subprocess.run(["objcopy", "--strip-debug", BINARY, home / "bare"], check=True)
        # A copy by `rep movsb` would count each byte as an instruction.
        settings = "SWIFT_DETERMINISTIC_HASHING=1 GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000"
        words = f"valgrind -q --tool=callgrind --instr-atstart=no --callgrind-out-file='{home}/out'"
        (home / "needletail").write_text(f"#!/bin/sh\n{settings} exec {words} '{home}/bare' \"$@\"\n")
        (home / "needletail").chmod(0o755)
        self.home, self.driver = home, broker_module.DRIVER
        broker_module.BINARY, broker_module.DRIVER = home / "needletail", "epoll"
        return self

    def __exit__(self, *_):
        broker_module.BINARY, broker_module.DRIVER = BINARY, self.driver
        self.directory.cleanup()

    def count(self, broker, messages, work):
        """Instructions for a message: the median of six counts, so that what is done every few seconds is in none or some of them."""
        return statistics.median(self.once(broker, messages // BATCH // 6, work) for _ in range(6))

    def once(self, broker, batches, work):
        def control(*words):
            subprocess.run(["callgrind_control", *words, str(broker.process.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        for old in self.home.glob("out*"):
            old.unlink()
        control("-i", "on")
        work(batches)
        control("-i", "off")
        control("-d")
        lines = [line for path in self.home.glob("out*") for line in path.read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("totals:")) / (batches * BATCH)


def of_topics(count, messages, spent):
    with Broker("--durability", "none") as broker:
        topics, (connection,) = make_topics(broker, count), open_connections(broker, 1)
        warm = max(count, messages // BATCH)
        publish_all([connection], topics, warm)
        sent = Sent(lambda count: publish_all([connection], topics, count))
        cost = spent(broker, messages, sent)
        expect(stored(broker), (warm + sent.batches) * BATCH)
        return cost


def of_connections(count, messages, spent):
    with Broker("--durability", "none") as broker:
        topics, connections = make_topics(broker, 1), open_connections(broker, count)
        batches = messages // BATCH
        publish_all(connections, topics, batches)
        sent = Sent(lambda count: publish_all(connections, topics, count))
        cost = spent(broker, messages, sent)
        expect(stored(broker), (batches + sent.batches) * BATCH)
        return cost


def of_consumers(count, messages, spent):
    with Broker("--durability", "none") as broker:
        queue, batches = Queue(broker, count), messages // BATCH
        queue.run(batches)
        sent = Sent(queue.run)
        cost = spent(broker, messages, sent)
        queue.check((batches + sent.batches) * BATCH)
        return cost


def of_log(size, messages, spent, reading=None):
    """Appends to a log with so much in it, or reads it: its batches in order, or at random places."""
    before = max(1, size // len(CONTENT))
    log = Filled.of(before)
    if log is None:
        return None
    fits = size <= GIB * MEMORY_GIB // 2
    held = FRONT if reading == "front" else size if reading and fits else 0
    with log.held(held), Broker("--durability", "none", data=log.data) as broker:
        (connection,) = open_connections(broker, 1)
        if reading:
            some = log.fronts() if reading == "front" else range(before)
            places = itertools.cycle(some) if reading == "in order" else iter(lambda: RANDOM.choice(some), None)
            read_all(connection, log.topic, messages // BATCH, places)
            from_disk = bytes_read(broker)
            sent = Sent(lambda count: read_all(connection, log.topic, count, places))
            cost = spent(broker, messages, sent)
            Filled.from_disk[spent is seconds, reading, size] = (bytes_read(broker) - from_disk) / (sent.batches * BATCH)
            return cost
        sent = Sent(lambda count: publish_all([connection], [log.topic], count))
        sent(WINDOW)
        cost = spent(broker, messages, sent)
        expect(stored(broker), (log.batches + sent.batches) * BATCH)
        log.batches += sent.batches
        return cost


def bytes_read(broker):
    """What the system has read from the disk for the broker."""
    return int(dict(line.split(": ") for line in pathlib.Path(f"/proc/{broker.process.pid}/io").read_text().splitlines())["read_bytes"])


class Filled:
    """What a broker leaves that has stored so many batches in one topic: made once for each size, as long as there is room."""

    known = {}
    #: Bytes from the disk for a message: in runs or in counts, by how and of what size was read.
    from_disk = {}

    @classmethod
    def of(cls, batches):
        if batches not in cls.known:
            is_kept = cls.kept and (cls.kept / str(batches)).exists()
            if not is_kept and shutil.disk_usage(tempfile.gettempdir()).free < batches * len(CONTENT) * 1.1 + SPARE:
                return None
            cls.known[batches] = cls(batches)
        return cls.known[batches]

    #: Where they stay for the next call; None: they go with this one.
    kept = None

    def __init__(self, batches):
        self.directory = tempfile.TemporaryDirectory(prefix="growth-log-", ignore_cleanup_errors=True)
        self.data = str(self.kept / str(batches)) if self.kept else self.directory.name
        # These brokers run without callgrind, whoever runs the next.
        counted, broker_module.BINARY = broker_module.BINARY, BINARY
        try:
            if self.kept and os.path.exists(self.data):
                with Broker("--durability", "none", data=self.data) as broker:
                    with native.connect(broker) as client:
                        self.topic = client.topics(native.LIST_TOPICS)[0]["id"]
                    self.batches = stored(broker) // BATCH
                    self.end(broker)
                return
            with Broker("--durability", "none", data=self.directory.name) as broker:
                (self.topic,), (connection,) = make_topics(broker, 1), open_connections(broker, 1)
                publish_all([connection], [self.topic], batches)
                self.end(broker)
            self.batches = batches
            if self.kept:
                self.kept.mkdir(exist_ok=True)
                shutil.move(self.directory.name, self.data)
        finally:
            broker_module.BINARY = counted

    def end(self, broker):
        broker.process.send_signal(signal.SIGTERM)
        if broker.process.wait(timeout=300) != 0:
            raise RuntimeError(f"the broker did not end well: {broker.log()}")

    def segments(self):
        return pathlib.Path(self.data).glob(f"logs/{self.topic}-0/*.log")

    def fronts(self):
        """The batches of which `FRONT` of each segment consists."""
        return [int(path.stem) // BATCH + number for path in self.segments() for number in range(min(FRONT, path.stat().st_size) // len(CONTENT))]

    @contextlib.contextmanager
    def held(self, most):
        """So much of each segment is in the page cache meanwhile, and stays: a system that takes idle pages back takes none of that."""
        libc, areas = ctypes.CDLL(None, use_errno=True), []
        libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
        for path in self.segments():
            with path.open("rb", buffering=0) as file:
                size = min(most, os.fstat(file.fileno()).st_size)
                if size and (address := libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)) != ctypes.c_void_p(-1).value:
                    areas.append((ctypes.c_void_p(address), ctypes.c_size_t(size)))
                    if libc.mlock(*areas[-1]) < 0:
                        raise RuntimeError(f"{path} cannot be held in memory: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            for area in areas:
                libc.munmap(*area)

    @classmethod
    def remove_all(cls):
        for one in cls.known.values():
            one.directory.cleanup()
        cls.known = {}


class Sent:
    """Work, and how much of it was asked for."""

    def __init__(self, work):
        self.work, self.batches = work, 0

    def __call__(self, batches):
        self.work(batches)
        self.batches += batches


def expect(found, wanted):
    if found != wanted:
        raise RuntimeError(f"{found} messages are stored, {wanted} were sent")


def idle(connections, topics, seconds=10):
    """Milliseconds of processor time at rest, and MB of memory: resident, and of these without files."""
    with Broker() as broker:
        held = open_connections(broker, connections)
        make_topics(broker, topics)
        time.sleep(3)
        process = pathlib.Path(f"/proc/{broker.process.pid}")

        before = on_cores(broker.process.pid)
        time.sleep(seconds)
        spent = (on_cores(broker.process.pid) - before) / 1e6
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        for one in held:
            one.close()
        return {"cpu_ms": spent, **{name: int(status[field].split()[0]) / 1e3 for name, field in (("rss_mb", "VmRSS"), ("anonymous_mb", "RssAnon"))}}


IDLE = {"nothing": (0, 0), "1,000 idle connections": (1_000, 0), "10,000 topics": (0, 10_000)}


# MARK: The command


def rows(long):
    logs = {"1 MiB": 1 << 20, "1 GiB": GIB, "4 GiB": 4 * GIB} | ({"30 GiB": 30 * GIB} if long else {})
    return {
        "topics": ({"1": 1, "100": 100, "10,000": 10_000}, of_topics),
        "connections": ({"1": 1, "100": 100, "1,000": 1_000}, of_connections),
        "consumers of one queue": ({"1": 1, "100": 100, "1,000": 1_000}, of_consumers),
        "read, in order, a log of": (logs, lambda *words: of_log(*words, reading="in order")),
        "read, at random, a log of": (logs, lambda *words: of_log(*words, reading="at random")),
        "read, at random, the front of each segment of": (logs, lambda *words: of_log(*words, reading="front")),
        "append to a log of": (logs, of_log),
    }


def shown(values):
    if not values:
        return "no room on the disk"
    spread = f" ({min(values):.3f} – {max(values):.3f})" if len(values) > 1 else ""
    return f"{statistics.median(values):.3f}{spread}"


def growth(medians):
    """Per cent, from the first size to the last that was measured."""
    known = [value for value in medians if value is not None]
    return f"{100 * (known[-1] / known[0] - 1):+.0f} %"


def section(facts, measured, counted, idles, disk):
    lines = [
        "## Growth and rest", "", f"    {facts['command']}", "",
        f"{facts['cores']} cores shared by client and broker, Linux {facts['kernel']}, {facts['date']}, {facts['version']}; load average before the start "
        f"{facts['load']:.1f}."
        + (f" Processor time: medians of {facts['runs']} runs of {facts['messages'] / 1e6:g} M messages, least and greatest in brackets." * (facts["runs"] > 0)),
        "", WHAT, ""]
    for name, sizes in measured.items():
        sizes = {size: values for size, values in sizes.items() if values or size in counted.get(name, {})}
        lines += [f"| {name} | " + " | ".join(sizes) + f" | growth (target: within {TARGET} %) |", "| --- " * (len(sizes) + 2) + "|"]
        if name in counted:
            shares = [counted[name].get(size) for size in sizes]
            lines.append("| own instructions a message | " + " | ".join("–" if one is None else f"{one:.1f}" for one in shares) + f" | {growth(shares)} |")
        if any(sizes.values()):
            medians = [statistics.median(values) if values else None for values in sizes.values()]
            lines.append("| CPU s/M | " + " | ".join(shown(values) for values in sizes.values()) + f" | {growth(medians)} |")
        for what, values in disk.get(name, {}).items():
            lines.append(f"| from the disk, bytes a message, {what} | " + " | ".join(f"{values.get(size) or 0:.0f}" for size in sizes) + " | |")
        lines.append("")
    if idles:
        lines += ["| at rest for 10 s, defaults | processor time | resident (without files) |", "| --- | --- | --- |"]
        for name, runs in idles.items():
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            lines.append(f"| {name} | {middle['cpu_ms']:.2f} ms | {middle['rss_mb']:.1f} MB ({middle['anonymous_mb']:.1f}) |")
        lines += ["", "The target at rest: no processor time, and under 64 MiB."]
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=3_000_000)
    parser.add_argument("--only", nargs="+", default=[""], metavar="PART", help="rows whose name contains one of these; `idle` is one")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIRECTORY", help="where filled logs are, and stay for the next call")
    parser.add_argument("--no-instructions", action="store_true")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--docs", type=pathlib.Path, metavar="FILE", help="replace the section there")
    options = parser.parse_args()
    Filled.kept = options.keep
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load = os.getloadavg()[0]
    chosen = {name: row for name, row in rows(options.long).items() if any(part in name for part in options.only)}
    measured, counted, idles = {name: {size: [] for size in sizes} for name, (sizes, _) in chosen.items()}, {}, {}

    def tell(what, name, size, cost, unit):
        print(f"{what}: {name} {size}: {'no room on the disk' if cost is None else f'{cost:.3f} {unit}'}", file=sys.stderr, flush=True)

    if not options.no_instructions:
        with Callgrind() as callgrind:
            for name, (sizes, measure) in chosen.items():
                for size, value in sizes.items():
                    cost = counted.setdefault(name, {})[size] = measure(value, COUNTED, callgrind.count)
                    tell("counted", name, size, cost, "instructions a message")
    for number in range(options.runs):
        for name, (sizes, measure) in chosen.items():
            for size, value in sizes.items():
                cost = measure(value, options.messages, seconds)
                if cost is not None:
                    measured[name][size].append(cost)
                tell(f"run {number + 1}", name, size, cost, "CPU s/M")
    if any(part in "idle" for part in options.only):
        for _ in range(max(1, options.runs)):
            for name, much in IDLE.items():
                idles.setdefault(name, []).append(found := idle(*much))
                print(f"at rest with {name}: {found}", file=sys.stderr, flush=True)
    words = [f"--{name} {getattr(options, name)}" for name in ("runs", "messages")] + (["--long"] if options.long else [])
    facts = {
        "command": " ".join(["Benchmarks/growth.py", *words]), "cores": os.cpu_count(), "kernel": platform.release(), "date": time.strftime("%Y-%m-%d"),
        "load": load, "runs": options.runs, "messages": options.messages, "version": os.popen(f"'{BINARY}' --version").read().strip()}
    disk = {}
    for how, what, runs in itertools.product(("in order", "at random", "front"), ("when counted", "in the last run"), (False, True)):
        for name, (sizes, _) in chosen.items():
            found = {size: Filled.from_disk.get((runs, how, value)) for size, value in sizes.items()}
            if how in name and runs == (what != "when counted") and any(found.values()):
                disk.setdefault(name, {})[what] = found
    Filled.remove_all()
    text = section(facts, measured, counted, idles, disk)
    print(text)
    if options.json:
        found = {"facts": facts, "cpu_s_per_m": measured, "instructions": counted, "idle": idles, "from_disk": disk}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(text)
    if options.docs:
        report.write(options.docs, text, MARK)


if __name__ == "__main__":
    main()
