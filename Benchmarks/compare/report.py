"""The comparison as a section of docs/benchmarks.md: a table for each workload, brokers in their order of merit."""
import statistics
import textwrap

BEGIN, END = "<!-- Benchmarks/compare writes from here -->", "<!-- to here -->"
# Whose runs have the raw echo and the relay with them.
OVER_TCP = ("needletail-none", "needletail-group")
FAULTS = ("lost", "duplicated", "out_of_order", "failed")

NOTE = """\
*What this does not show.* One publisher on one connection, one topic or queue: Redis with `always` gains from several connections, RabbitMQ and
JetStream from several queues and streams. No replication (a quorum queue has one member), no encryption, no second machine; client and broker
share the cores, so a client that costs much slows its broker (`client_busiest_thread` in the JSON says how near it is to a whole core).
An acknowledgement does not mean the same in every row: compare rows of one promise. Needletail is driven by its own generator, which sends
batches of 500 messages except at a fixed rate; the other clients write as many at once, but their protocols know no batches (Kafka's does),
and that is part of what is compared. Redis is spared the rewriting of its append-only file, and keeps everything in memory. Redis and JetStream
only mark a queue's messages as done, RabbitMQ deletes them. RabbitMQ's streams are read over AMQP 0.9.1, since its own stream protocol has
no C client in Debian; libmosquitto reads each packet with several system calls, which its row pays for. Debian's versions are not the newest.
Runs are short: nothing here shows what a broker does when its disk is full of backlog or its memory runs out, nor what a crash leaves:
[reliability.md](reliability.md) shows that for Needletail only."""

WHAT = """\
Every message carries its sequence and the time at which it was to be sent; lost, duplicated and out-of-order ones are counted, and stand
in the row in bold where there are any. *ingest*: until the acknowledgement. *through*: until the last message is with one consumer; *fan-out*: with
all eight, deliveries counted. *queue*: four consumers compete and acknowledge explicitly. *catch-up*: a backlog of 64 MiB for each second
of a run is read, by Needletail one of eight times that, by Kafka's consumers four times. *latency*: from
the time at which a message was due, at a fixed rate, to its arrival. Where nothing is acknowledged the publisher keeps a window to the slowest
consumer, so that nothing is dropped. CPU is the broker's, user and system; memory is resident after the run, in brackets without mapped
files. A dash: the broker has no such thing, or the row would repeat another. The last rows are the machine's own limits: a thread that returns what it
receives over loopback TCP, in the same sizes; for latency one that does the least that a broker does (docs/bench.md); and sequential writes, each 16 MiB
(or, for latency, 4 KiB) followed by `fdatasync`."""


def values(runs, figure):
    return [run[figure] for run in runs if "error" not in run and run.get(figure) is not None]


def median(runs, figure):
    found = values(runs, figure)
    return statistics.median(found) if found else None


def rate(value):
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    return f"{value / 1e3:.0f} k" if value >= 1e5 else f"{value / 1e3:.1f} k"


def figure(value, scale=1.0):
    """Three digits that count, or a dash."""
    if value is None:
        return "–"
    value *= scale
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(runs, name, show):
    found = values(runs, name)
    if not found:
        return "–"
    middle = show(statistics.median(found))
    return middle if len(found) == 1 else f"{middle} ({show(min(found))} – {show(max(found))})"


def faults(runs):
    text = ""
    for what in FAULTS:
        count = sum(run.get(what, 0) for run in runs)
        text += f", **{what.replace('_', ' ')} {count:,}**" if count else ""
    bad = sum("error" in run for run in runs)
    return text + (f", **{bad} of {len(runs)} runs failed**" if bad else "")


def memory(runs):
    resident = median(runs, "rss_mb")
    return "–" if resident is None else f"{resident:,.0f} ({median(runs, 'anonymous_mb') or 0:,.0f})"


def latency_rows(results, systems):
    rows = []
    for key, runs in results.items():
        expected = max((run.get("rate") or 0 for run in runs), default=0)
        behind = [run for run in runs if not run.get("kept_up", True) or (run.get("messages_per_s") or 0) < 0.9 * expected]
        p50 = median(runs, "p50_us")
        if p50 is None:
            first, order, rest = "failed", 1e18, ["–", "–"]
        elif len(behind) * 2 > len(runs):
            first, order, rest = f"falls behind: {rate(median(runs, 'messages_per_s'))}/s", 1e15 + p50, ["–", "–"]
        else:
            first, order, rest = spread(runs, "p50_us", figure), p50, [spread(runs, "p99_us", figure), figure(median(runs, "p999_us"))]
        rows.append((order, [systems[key].name + faults(runs), systems[key].promise, first, *rest, figure(median(runs, "server_cpu_s_per_m")), memory(runs)]))
    return ["", "an acknowledgement means", "p50 us", "p99 us", "p99.9 us", "CPU us each", "MB"], rows


def rate_rows(results, systems, is_backlog):
    rows = []
    for key, runs in results.items():
        middle = median(runs, "messages_per_s")
        shown = "failed" if middle is None else spread(runs, "messages_per_s", rate)
        rows.append((-(middle or 0), [
            systems[key].name + faults(runs), systems[key].promise, shown, figure(median(runs, "server_cpu_s_per_m")),
            # A backlog's messages waited as long as they did.
            "–" if is_backlog else figure(median(runs, "p50_us"), 1e-3), memory(runs)]))
    return ["", "an acknowledgement means", "messages/s", "CPU s/M", "p50 ms", "MB"], rows


def floor_rows(name, results, floors):
    """The raw echo and the relay, which `needletail bench` measures after each of its runs over TCP, and the disk."""
    over_tcp = [run for key in OVER_TCP for run in results.get(key, [])]
    size = 1024 if "1 KiB" in name else 100
    if name.startswith("latency"):
        def limit(what, runs):
            return [spread(runs, f"{what}_p50_us", figure), spread(runs, f"{what}_p99_us", figure), figure(median(runs, f"{what}_p999_us")), "–", "–"]

        echo = limit("echo", over_tcp)
        relays = [
            ["*relay: receive, write, send on, answer*", promise, *limit("relay", results[key])]
            for key, promise in zip(OVER_TCP, ("page cache", "fsync")) if key in results]
        disk = [spread(floors, "p50_us", figure), spread(floors, "p99_us", figure), figure(median(floors, "p999_us")), "–", "–"]
    else:
        relays = []
        echo = [spread(over_tcp, "echo_messages_per_s", rate), "–", "–", "–"]
        disk = [spread([{"per_s": floor["bytes_per_s"] / size} for floor in floors], "per_s", rate), "–", "–", "–"]
    return [["*raw TCP echo*", "nothing", *echo], *relays, ["*write and fdatasync*", "fsync", *disk]]


def table(name, results, systems, floors):
    if name.startswith("latency"):
        head, rows = latency_rows(results, systems)
    else:
        head, rows = rate_rows(results, systems, name.startswith("catch-up"))
    lines = [head, ["---"] * len(head)] + [row for _, row in sorted(rows, key=lambda row: row[0])] + floor_rows(name, results, floors)
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def missing(results, systems):
    """Who has not this workload."""
    names = [systems[key].name.replace("**", "") for key in systems if key not in results]
    return f"\n–: {'; '.join(names)}.\n" if names else ""


def section(facts, results, systems, absent, floors):
    present = {key: system for key, system in systems.items() if system.server not in absent}
    lines = [
        "## Beside other brokers, each with its own C client", "", f"    {facts['command']}", "",
        textwrap.fill(
            f"{facts['processor']}, {facts['cores']} cores shared by client and broker, {facts['memory_gb']:.0f} GB of memory, {facts['files']}, Linux {facts['kernel']}, loopback, {facts['date']}; load average "
            f"before the start {facts['load_before']:.1f}. Medians of {facts['runs']} run{'s' if facts['runs'] > 1 else ''} of {facts['seconds']} s, least and "
            "greatest in brackets. In every round each broker is started afresh with an empty directory on one disk.", 150),
        "", "Versions and settings: " + "; ".join(f"{name} ({settings})" for name, settings in facts["versions"].items())
        + ". Clients: " + ", ".join(facts["clients"] or ["none but Needletail's"]) + ".", "", WHAT]
    for why in dict.fromkeys(absent.values()):
        names = "; ".join(system.name for system in systems.values() if absent.get(system.server) == why)
        lines += ["", f"Absent: {names}: {why}."]
    for name, found in results.items():
        lines += ["", f"### {name}", "", table(name, found, present, floors)]
        lines += [missing(found, present)] if missing(found, present) else []
    lines += ["", NOTE]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def write(path, text, begin=BEGIN):
    """Replaces what stands between the markers, or appends it with them."""
    page = path.read_text() if path.exists() else ""
    block = f"{begin}\n\n{text}\n{END}\n"
    if begin in page and END in page.split(begin, 1)[1]:
        before, rest = page.split(begin, 1)
        after = rest.split(END, 1)[1].lstrip("\n")
        page = before + block + ("\n" + after if after else "")
    else:
        page = page.rstrip("\n") + ("\n\n" if page else "") + block
    path.write_text(page)
