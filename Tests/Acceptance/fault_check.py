"""The judge of a broker after a fault: what clients were told before it (`fault_load`), against what the broker has afterwards.

`Told` collects the marks of a trace up to a cut. `judge` looks at a running broker and raises `Broken` with the first promise that does
not hold: L1 nothing acknowledged is lost, L2 nothing is there that nobody published, L3 an offset has one value, S-a a prefix without a
hole; Q1 every message is there or was settled, Q2 nothing unexpected, Q4 what was settled and confirmed does not come back, and what
comes back is flagged; Q8 a dead letter is here or there; L7 offsets do not go back; topics are there, or deleted."""
import copy
import re
import subprocess
import time

import native
from broker import BINARY
from fault_load import DEAD, FLUSH_INTERVAL, LOGS, QUEUE, TAG, OffsetClient, tag


class Broken(AssertionError):
    """A promise that did not hold."""


class Told:
    """What the clients were told before a place in a trace."""

    def __init__(self):
        # Of each log how many records are acknowledged, and when; behind which number the second life goes on.
        self.acknowledged, self.splits = {}, {}
        # Marks so far; at which of them a worker's connection began, a message was last delivered, and to whom, and was settled for good.
        self.heard, self.workers, self.delivered, self.done = 0, {}, {}, {}
        self.topics_made, self.topics_gone, self.made_or_not, self.gone_or_not = set(), set(), set(), set()
        self.trying = {"accept": set(), "reject": set(), "requeue": set()}
        self.settled = {"accept": set(), "reject": set(), "requeue": set()}
        self.committed = self.committing = 0

    def copy(self):
        other = Told()
        vars(other).update(copy.deepcopy(vars(self)))
        return other

    def hear(self, text, when=0):
        """One mark."""
        self.heard += 1
        what, *rest = text.split()
        if what == "a":
            log, life, first, count, offset = rest[0], *map(int, rest[1:])
            if offset not in (-1, first):
                raise Broken(f"record {first} of '{log}' was acknowledged at offset {offset}")
            # Logs that promise less than a flush are held to what they promise: their marks are kept with their times.
            self.acknowledged.setdefault(log, []).append((first + count, when))
        elif what == "v":
            # Seen, and so never lost; what follows is of the next life.
            self.acknowledged.setdefault(rest[0], []).append((int(rest[1]), when))
            self.splits[rest[0]] = int(rest[1])
        elif what == "r":
            self.acknowledged.setdefault(rest[0], []).append((int(rest[1]), when))
        elif what == "d":
            self.hear_delivery((int(rest[0]), int(rest[1])), rest[2] == "1", rest[3])
        elif what == "w":
            self.workers[rest[0]] = self.heard
        elif what == "s":
            self.trying[rest[0]].add((int(rest[1]), int(rest[2])))
        elif what == "S":
            self.settled[rest[0]].add((int(rest[1]), int(rest[2])))
            if rest[0] != "requeue":
                self.done[int(rest[1]), int(rest[2])] = self.heard
        elif what in ("o", "O"):
            name = "committed" if what == "O" else "committing"
            setattr(self, name, max(getattr(self, name), int(rest[0])))
        else:
            {"t+": self.made_or_not, "T+": self.topics_made, "t-": self.gone_or_not, "T-": self.topics_gone}[what].add(rest[0])

    def hear_delivery(self, one, is_flagged, worker):
        """What a worker reads late came to it before: only who connected after something happened must know of it."""
        began = self.workers[worker]
        if self.done.get(one, began) < began:
            raise Broken(f"message {one} was delivered although its settlement had been confirmed")
        when, whom = self.delivered.get(one, (began, None))
        if not is_flagged and (when < began or whom == worker):
            raise Broken(f"message {one} was delivered again, and not flagged")
        self.delivered[one] = self.heard, worker

    def least(self, log, latest=None):
        """How many records the log must have, of those acknowledged until `latest`."""
        return max((end for end, when in self.acknowledged.get(log, ()) if latest is None or when <= latest), default=0)

    def expected(self, log, place):
        split = self.splits.get(log)
        return (1, place) if split is None or place < split else (2, place)


def told_before(trace, cut, before=None):
    """What was told in a trace before the event at place `cut`, on top of what was told earlier."""
    told = before.copy() if before else Told()
    for event in trace.events[:cut]:
        if event.kind == "M":
            told.hear(trace.bytes(event).decode(), event.time)
    return told


def read_log(client, topic, name):
    """The numbers in a log, in their order, each found whole and at its offset; and where the log starts."""
    numbers, start, at = [], 0, 0
    while True:
        try:
            start, end, data = client.fetch(topic, at, max_bytes=4 << 20)
        except native.Refused as error:
            # 14: retention took the beginning.
            if error.code != 14 or at:
                raise
            start, end, data = client.fetch(topic, client_start(client, name), max_bytes=4 << 20)
            at = start
        begin = 0
        while begin < len(data):
            base, size = int.from_bytes(data[begin : begin + 8], "big"), 12 + int.from_bytes(data[begin + 8 : begin + 12], "big")
            count = int.from_bytes(data[begin + 57 : begin + 61], "big")
            batch = data[begin : begin + size]
            begin += size
            if base < at:
                continue
            if base != at:
                raise Broken(f"'{name}' has a hole: offset {base} where {at} follows")
            tags = TAG.findall(batch)
            if len(tags) != 2 * count or tags[::2] != tags[1::2]:
                raise Broken(f"the batch at offset {base} of '{name}' says {count} records and has {len(tags)} marks")
            numbers += [(int(life), int(number), log.decode()) for log, life, number in tags[::2]]
            at += count
        if at >= end:
            return numbers, start
        if not data:
            raise Broken(f"'{name}' ends at {end}, and nothing can be read at {at}")


def client_start(client, name):
    return client.describe(name)["partitions"][0]["start"]


def judge_log(client, topics, told, log, least):
    """A stream: exactly the numbers from 0 on, as many as were acknowledged at least."""
    if log not in topics:
        if least:
            raise Broken(f"topic '{log}' is gone")
        return 0
    numbers, _ = read_log(client, topics[log]["id"], log)
    for place, (life, number, name) in enumerate(numbers):
        if (life, number) != told.expected(log, place) or name != log:
            raise Broken(f"offset {place} of '{log}' holds record {number} of life {life} of '{name}', not {told.expected(log, place)}")
    if len(numbers) < least:
        raise Broken(f"'{log}' has {len(numbers)} records, {least} were acknowledged")
    return len(numbers)


def drain(client, topics):
    """Everything that the queue has to deliver: record to (times, flagged)."""
    found = {}
    client.subscribe(1, QUEUE, "queue", messages=1_000_000, size=1 << 30)
    taken, deadline = 0, time.monotonic() + 180
    while True:
        # What the broker has to say comes before the answer to what is asked then.
        reader = client.call(native.LIST_SUBSCRIPTIONS, native.text(QUEUE), native.SUBSCRIPTIONS)
        cursor = read_cursors(reader)
        while client.deliveries:
            delivery = client.deliveries.pop(0)
            for record in delivery.records:
                log, life, number = TAG.match(record.value).groups()
                if log.decode() != QUEUE:
                    raise Broken(f"the queue delivers {record.value[:20]}")
                times, _ = found.get((int(life), int(number)), (0, False))
                found[int(life), int(number)] = times + 1, delivery.is_redelivery
                taken += 1
        if cursor["next"] >= cursor["end"] and cursor["again"] == 0 and cursor["in flight"] == taken:
            return found
        if time.monotonic() > deadline:
            raise Broken(f"the queue does not deliver everything: {taken} were taken, {cursor}")
        time.sleep(0.001)


def read_cursors(reader):
    def cursor(r):
        return dict(zip(("partition", "floor", "next", "end", "in flight", "again"), r.take("iqqqqq")))

    def subscription(r):
        r.take("IiB")
        r.text()
        return r.text(), r.list(cursor)

    return next(cursors[0] for name, cursors in reader.list(subscription) if name == "queue")


def judge_queue(client, topics, told):
    least = told.least(QUEUE)
    if QUEUE not in topics:
        if least:
            raise Broken("the queue is gone")
        return {}, set()
    found = drain(client, topics)
    dead = {(life, number) for life, number, _ in read_log(client, topics[DEAD]["id"], DEAD)[0]}
    for one, (times, is_flagged) in found.items():
        if times > 1:
            raise Broken(f"message {one} is delivered {times} times at once")
        if one in told.settled["accept"] or one in told.settled["reject"]:
            raise Broken(f"message {one} comes back although its settlement was confirmed")
        if one in told.delivered and not is_flagged:
            raise Broken(f"message {one} was delivered before, and is not flagged")
    for one in dead - told.trying["reject"]:
        raise Broken(f"message {one} is a dead letter, and nobody rejected it")
    for one in told.settled["reject"] - dead:
        raise Broken(f"message {one} was rejected, which was confirmed, and is no dead letter")
    for place in range(least):
        one = told.expected(QUEUE, place)
        if one not in found and one not in dead and one not in told.trying["accept"]:
            raise Broken(f"message {one} is lost: it was acknowledged, nobody settled it, and it is not delivered")
    return found, dead


def judge(target, told, cut=None, delay=0):
    """Judges a running broker. `cut`: when the power went; None: it did not; `delay`: how late a flush may have been. Answers how many records each log has."""
    with target.client() as client:
        topics = {topic["name"]: topic for topic in client.topics(native.LIST_TOPICS)}
        counts = {}
        for log, (durability, *_) in LOGS.items():
            least = told.least(log)
            if cut is not None and durability == 1:
                # At most the interval and one flush; a busy machine may come to it later than it should.
                least = told.least(log, cut - int((FLUSH_INTERVAL + delay + 1) * 1e9))
            elif cut is not None and durability == 0:
                least = 0
            counts[log] = judge_log(client, topics, told, log, least)
        found, dead = judge_queue(client, topics, told)
        counts[QUEUE], counts[DEAD] = len(found), len(dead)
        missing = told.topics_made - told.gone_or_not - topics.keys()
        risen = told.topics_gone & topics.keys()
        unknown = {name for name in topics if name.startswith("t")} - told.made_or_not
        if missing or risen or unknown:
            raise Broken(f"topics that were made are gone: {missing}; deleted ones are there: {risen}; nobody made: {unknown}")
        return counts, found.keys(), dead


def judge_offsets(target, told):
    if not target.kafka_port or not told.committing:
        return
    client = OffsetClient(target.kafka_port)
    offset, error = client.fetch(b"g")
    client.close()
    if error or not told.committed <= max(offset, 0) <= told.committing:
        raise Broken(f"the group is at {offset} (error {error}), {told.committed} was committed, {told.committing} asked for")


def verify(data):
    """`log verify` finds nothing lost or altered."""
    found = subprocess.run([BINARY, "log", "verify", str(data)], capture_output=True, timeout=300)
    # Power may have gone before there was a log.
    if found.returncode != 0 and b"holds no logs" not in found.stderr:
        raise Broken(f"log verify ends with {found.returncode}: {(found.stdout + found.stderr).decode(errors='replace')[-1500:]}")


# The rule on the trace: write, then flush, then acknowledge


# What a block ends or begins with where a mark lies across it and another.
LEFT_HALF, RIGHT_HALF = re.compile(rb"<[a-z]?\d?:?\d{0,9}\Z"), re.compile(rb"[a-z]?\d?:?\d{0,9}>")


class WrittenRecords:
    """Follows a trace and says from which flush on each record is safe: the first that began when both of its marks were on the disk.
    A mark that lies across two blocks apart from each other on the disk is not found there, and may be later, where the record is written
    again: dead letters, and what is set aside. Such records are counted, not judged."""

    def __init__(self, trace, base):
        self.safe, self.late, self.judged, self.unseen, self.halves = set(), {}, {}, 0, set()
        disk, waiting = {}, []
        seen, fresh, begun = {}, [], {}
        with open(base, "rb") as file:
            # Blocks as they are now, those that were never written from the base.
            def block(number):
                if number not in disk:
                    file.seek(max(number, 0) * 4096)
                    disk[number] = file.read(4096) if number >= 0 else bytes(4096)
                return disk[number]

            for event in trace.events:
                if event.kind == "W":
                    self.write(event, trace.bytes(event), disk, block, seen, fresh)
                elif event.kind == "F":
                    begun[event.offset], fresh[:] = list(fresh), []
                elif event.kind == "D":
                    self.safe.update(begun.pop(event.offset, ()))
                elif event.kind == "f":
                    # What this one did not flush, the next one does.
                    fresh[:0] = begun.pop(event.offset, ())
                elif event.kind == "M":
                    text = trace.bytes(event).decode()
                    if text.startswith("a "):
                        waiting += self.judge(text)
        for log, one in waiting:
            if len(seen.get(one, ())) >= 2:
                self.late.setdefault(log, []).append(one.decode())
            else:
                self.unseen += 1

    def write(self, event, content, disk, block, seen, fresh):
        first, last = event.offset // 4096, (event.offset + event.size - 1) // 4096
        for number in range(first, last + 1):
            start = number * 4096 - event.offset
            if start >= 0 and start + 4096 <= event.size:
                disk[number] = content[start : start + 4096]
            else:
                # Part of a block.
                old, low, high = bytearray(block(number)), max(0, -start), min(4096, event.size - start)
                old[low:high] = content[start + low : start + high]
                disk[number] = bytes(old)
        for number in range(first, last + 1):
            self.halves.update(half.group(0) for half in (LEFT_HALF.search(disk[number], 4096 - 13), RIGHT_HALF.match(disk[number])) if half)
        around = block(first - 1)[-32:] + b"".join(disk[number] for number in range(first, last + 1)) + block(last + 1)[:32]
        for found in TAG.finditer(around):
            one = found.group(0)
            if one in self.safe:
                continue
            known = seen.setdefault(one, set())
            # Each place holds one of the two marks; journals have no copies of content.
            known.add(event.offset // 4096 * 4096 - 32 + found.start())
            if len(known) >= 2:
                fresh.append(one)

    def judge(self, text):
        """Those of the records just acknowledged that are not safe."""
        _, log, life, first, count, _ = text.split()
        ones = [tag(log, int(life), number) for number in range(int(first), int(first) + int(count))]
        self.judged[log] = self.judged.get(log, 0) + len(ones)
        late = [one for one in ones if one not in self.safe]
        whole = [one for one in late if not self.is_split(one)]
        self.unseen += len(late) - len(whole)
        return [(log, one) for one in whole]

    def is_split(self, one):
        return any(one[:place] in self.halves and one[place:] in self.halves for place in range(1, len(one)))
