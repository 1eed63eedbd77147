"""Damage in the data directory: whatever happens to its files, the broker starts or says clearly why not, never traps, never hangs,
never hands out a record that was not published, and what is sound is read as it was.

NEEDLETAIL_DAMAGE says how many seeds are tried, or which (`200`, `37..38`); a seed's mutations are printed when it fails.
"""
import os
import random
import re
import shutil
import struct
import subprocess

import native
from broker import BINARY, DRIVER, Broker, wait_until

SEEDS = os.environ.get("NEEDLETAIL_DAMAGE", "5")
PLAIN = ("first", "second", "third")
OWN = ("__catalog", "__cursors", "__aside", "__groups")
HEAD = 61


def seeds():
    if ".." in SEEDS:
        first, last = SEEDS.split("..")
        return range(int(first), int(last))
    return range(int(SEEDS))


def create(client, name, segment_bytes, queue=False):
    options = struct.pack("<iBBBB", 1, 0, 0xFF, queue, queue) + native.optional(segment_bytes) + native.optional(None) * 4
    return client.topics(native.CREATE_TOPIC, native.text(name) + options + native.subscription_options())[0]


def fill(broker):
    """Topics of several segments, a queue with settled, unsettled and set-aside messages, an exchange, a reader's place."""
    with native.Native(broker.connect()) as client:
        for name in PLAIN:
            create(client, name, 32 << 10)
        jobs = create(client, "jobs", 16 << 10, queue=True)
        client.call(native.CREATE_EXCHANGE, struct.pack("<B", 1) + native.text("in"), native.EXCHANGES)
    for name in PLAIN:
        for part in range(4):
            lines = b"".join(b"%s line %d %s\n" % (name.encode(), n, b"x" * (n % 90)) for n in range(part * 300, part * 300 + 300))
            broker.cli("produce", name, input=lines)
    broker.cli("consume", "first", "--from", "earliest", "--group", "readers", "--max", "400", "--format", "raw")
    with native.Native(broker.connect()) as client:
        for n in range(900):
            # In between it waits for an answer, so that the log can go on to its next segment, which is prepared beside.
            publish = client.publish if n % 20 == 0 else lambda *what: client.send(native.PUBLISH, client.publish_body(*what))
            publish(jobs["id"], b"jobs line %d %s" % (n, b"y" * 240))
        client.publish(jobs["id"], b"jobs line 900 ")
        client.subscribe(1, "jobs", "queue", messages=10_000)
        taken = client.records(901)
        # The first ones stay: they are set aside, since several segments follow them.
        done = [(d.partition, native.ACCEPT, r.offset, r.offset) for d, r in taken if 3 < r.offset < 880 and r.offset % 50]
        for at in range(0, len(done), 200):
            client.settle(1, done[at : at + 200])
    wait_until(lambda: any(b.stat().st_size for b in (broker.data / "__aside").glob("*.log")), 90, "messages set aside")


def batches(content):
    """Where the batches of a segment lie, and how long they are."""
    at = 0
    while at + HEAD <= len(content):
        size = struct.unpack_from(">i", content, at + 8)[0] + 12
        if size < HEAD or at + size > len(content):
            return
        yield at, size
        at += size


def mutate(chosen, data):
    """One change of one file; answers what, the directories that it touched, and whether stored records were changed for certain."""
    files = sorted(path for path in data.rglob("*") if path.is_file() and path.stat().st_size and path.suffix in (".log", ".index", ".timeindex", "") and path.name != "lock")
    path = chosen.choice(files)
    content = bytearray(path.read_bytes())
    kind = chosen.choice(("turn", "turn", "turn", "cut", "remove", "zero", "swap", "append", "overwrite"))
    touched, is_record = {path.parent.name}, False
    if kind == "turn":
        for _ in range(chosen.choice((1, 1, 1, 8))):
            at = chosen.randrange(len(content))
            content[at] ^= 1 << chosen.randrange(8)
            # What the checksum covers, and the length; offset and epoch lie outside of it.
            if path.suffix == ".log":
                is_record |= any(start + 16 <= at < start + size for start, size in batches(path.read_bytes()))
    elif kind == "cut":
        del content[chosen.randrange(len(content)) :]
    elif kind == "zero":
        at = chosen.randrange(len(content)) & ~511
        size = min(chosen.choice((512, 4096)), len(content) - at)
        content[at : at + size] = bytes(size)
    elif kind == "append":
        content += chosen.randbytes(chosen.randrange(1, 5000))
    if kind == "remove":
        path.unlink()
    elif kind in ("swap", "overwrite"):
        other = chosen.choice([each for each in files if each.suffix == path.suffix])
        touched.add(other.parent.name)
        theirs = other.read_bytes()
        if kind == "swap":
            other.write_bytes(content)
        path.write_bytes(theirs)
        return f"{kind} {path.relative_to(data)} {other.relative_to(data)}", touched, False
    else:
        path.write_bytes(content)
    return f"{kind} {path.relative_to(data)}", touched, is_record


def try_seed(seed, data, expected, identities):
    chosen = random.Random(seed)
    broker = Broker()
    try:
        shutil.copytree(data, broker.data)
        changes = [mutate(chosen, broker.data) for _ in range(chosen.choice((1, 1, 2, 4)))]
        touched = set().union(*(each[1] for each in changes))
        story = f"seed {seed}: " + "; ".join(each[0] for each in changes)
        try:
            return judge(broker, touched, changes, expected, identities)
        except Exception as error:
            raise AssertionError(f"{story}\n{error}\n{broker.log()[-3000:]}") from error
    finally:
        broker.remove()


def judge(broker, touched, changes, expected, identities):
    verified = subprocess.run([BINARY, "log", "verify", str(broker.data)], capture_output=True, timeout=120)
    assert verified.returncode in (0, 5), verified
    # Later changes may have undone it (cut off, removed, overwritten): judged where it is the only one.
    if len(changes) == 1 and changes[0][2]:
        assert verified.returncode == 5 and changes[0][0].split("/")[-1].encode() in verified.stdout, f"verify does not name it: {verified.stdout}"
    if not started(broker):
        # Beside the logs lies a file that says how many shards there were.
        assert touched & {*OWN, broker.data.name}, "damage in a topic's log alone keeps the broker from starting"
        reason = broker.log().strip().splitlines()[-1]
        assert str(broker.data) in reason and "cannot start" in reason, f"no clear reason: {reason}"
        return "refused"
    published = set().union(*map(set, expected.values()))
    for name in PLAIN:
        read = broker.cli("consume", name, "--from", "earliest", "--format", "raw", check=False, timeout=120)
        lines = read.stdout.splitlines(keepends=True)
        if "__catalog" not in touched and f"{identities[name]}-0" not in touched:
            assert read.returncode == 0 and lines == expected[name], f"'{name}' is sound and was not read: {read.returncode}, {len(lines)} lines, {read.stderr}"
        elif read.returncode >= 0:
            wrong = [line for line in lines if line not in published]
            assert not wrong, f"'{name}' has a line that nobody published: {wrong[0]}"
        assert read.returncode >= 0, f"the client was ended by a signal: {read}"
    broker.cli("topic", "describe", "jobs", check=False)
    broker.cli("queue", "receive", "jobs", "--max", "5", check=False, timeout=300)
    broker.cli("produce", "after", "--create", input=b"goes on\n", check="__catalog" not in touched)
    assert broker.process.poll() is None, "the broker ended by itself"
    code, _ = broker.terminate()
    assert code in (0, 1), f"ended with {code}"
    assert "Fatal error" not in broker.log()
    return "started"


def started(broker):
    """Whether it starts; it must do so, or end with an error, and never hang."""
    with open(broker.errors, "ab") as errors:
        command = [BINARY, "serve", "--data", str(broker.data), "--listen", f"native={broker.server}", "--driver", DRIVER]
        broker.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=broker.home)
    ready = []
    def is_decided():
        if broker.process.poll() is None and not ready:
            os.set_blocking(broker.process.stdout.fileno(), False)
            ready.append(1) if broker.process.stdout.readline() else None
        return ready or broker.process.poll() is not None

    wait_until(is_decided, 180, "started or refused")
    if ready:
        return True
    assert broker.process.returncode > 0, f"ended by signal {-broker.process.returncode}"
    return False


def claim_a_damaged_data_directory_is_served_or_refused_but_never_trusted():
    with Broker() as broker:
        fill(broker)
        broker.terminate()
        broker.start()
        expected = {name: broker.cli("consume", name, "--from", "earliest", "--format", "raw").stdout.splitlines(keepends=True) for name in PLAIN}
        identities = {name: broker.json("topic", "describe", name)[0]["id"] for name in (*PLAIN, "jobs")}
        assert all(len(lines) == 1200 for lines in expected.values())
        # Left clean, left by a kill, in turns.
        directories = [broker.home / "clean", broker.home / "killed"]
        broker.cli("produce", "later", "--create", input=b"one\n")
        broker.kill()
        shutil.copytree(broker.data, directories[1])
        broker.start()
        broker.terminate()
        shutil.copytree(broker.data, directories[0])
        outcomes = [try_seed(seed, directories[seed % 2], expected, identities) for seed in seeds()]
        return ", ".join(f"{outcomes.count(each)} {each}" for each in sorted(set(outcomes)))


def claim_damaged_cursors_are_refused_with_the_command_to_go_on_without():
    with Broker() as broker:
        broker.cli("queue", "create", "jobs")
        for number in range(20):
            broker.cli("queue", "send", "jobs", f"job {number}")
        broker.cli("queue", "receive", "jobs", "--max", "10")
        broker.terminate()
        path = next((broker.data / "__cursors").glob("*.log"))
        content = bytearray(path.read_bytes())
        start, size = next(batches(content))
        content[start + size - 1] ^= 0x10
        path.write_bytes(content)
        assert not started(broker)
        reason = broker.log().strip().splitlines()[-1]
        command = re.search(r"(mv \S+ \S+)", reason)
        assert command and "begins anew" in reason, reason
        subprocess.run(command.group(1), shell=True, check=True)
        broker.start()
        again = []
        # One call takes what has come so far.
        while len(again) < 20 and (more := broker.cli("queue", "receive", "jobs", "--max", "20", "--wait", "60 s", "--format", "raw").stdout.splitlines()):
            again += more
        assert sorted(again) == sorted(b"job %d" % number for number in range(20)), again
        return reason
