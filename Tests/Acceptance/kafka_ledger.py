"""The members of a group as processes, and the judge of what they said: nothing lost, in order, duplicates only as the protocol allows."""
import itertools
import json
import pathlib
import signal
import subprocess
import sys

from broker import wait_until

MEMBER = pathlib.Path(__file__).resolve().parent / "kafka_member.py"


class Member:
    """A running kafka_member.py and what it has said so far."""

    def __init__(self, group, number, settings):
        self.number, self.path = number, group.home / f"{group.name}-{number}"
        self.errors = group.home / f"{group.name}-{number}.errors"
        arguments = [f"{name.replace('_', '.')}={value}" for name, value in settings.items()]
        with open(self.path, "wb") as output, open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([sys.executable, MEMBER, group.broker.bootstrap, group.name, group.topic, *arguments], stdout=output, stderr=errors)

    def events(self):
        *lines, _ = self.path.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines]

    def partitions(self):
        """What it is assigned right now."""
        held = set()
        for event in self.events():
            held |= set(event.get("assigned", ()))
            held -= set(event.get("revoked", ())) | set(event.get("lost", ()))
        return held

    def assignments(self):
        return sum("assigned" in event for event in self.events())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def leave(self):
        wait_until(lambda: self.events() or self.process.poll() is not None, 120, "a member that was just started runs")
        self.process.terminate()
        code = self.process.wait(120)
        assert code == 0, (code, self.errors.read_text()[-2000:])


class Group:
    """Members of one group that read one topic."""

    def __init__(self, broker, topic, name, home, **settings):
        self.broker, self.topic, self.name, self.home, self.settings = broker, topic, name, home, settings
        self.members = []

    def join(self, **settings):
        member = Member(self, len(self.members), {**self.settings, **settings})
        self.members.append(member)
        return member

    def living(self):
        return [member for member in self.members if member.process.poll() is None]

    def settled(self, partitions):
        """Whether each partition has exactly one owner among the living, and each of these has some."""
        held = [member.partitions() for member in self.living()]
        return all(held) and sorted(itertools.chain(*held)) == list(range(partitions))

    def wait_until_settled(self, partitions, timeout=180):
        wait_until(lambda: self.settled(partitions), timeout, f"each of {partitions} partitions has one owner")

    def read(self):
        """How far each partition was read without a gap."""
        return self.judge()[0]

    def wait_until_committed(self, ends, timeout=180):
        """Of what was read: committed by whoever read it."""
        def committed():
            places = [event["committed"] for member in self.members for event in member.events() if "committed" in event]
            return all(any(place.get(str(partition), -1) >= end for place in places) for partition, end in ends.items())

        wait_until(committed, timeout, f"{ends} is committed")

    def wait_until_read(self, ends, timeout=300):
        wait_until(lambda: all(self.read().get(partition, 0) >= end for partition, end in ends.items()), timeout, f"{ends} is read")

    def close(self):
        for member in self.living():
            member.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def judge(self, numbered=True):
        """Replays what all members said in the order in which it happened. Answers how far each partition was read, and how much
        came more than once. A reader of a partition goes on where it stands; a new one may begin at what is committed or, when it
        cannot know that a killed one read more, below what was read, and never above it."""
        told = sorted(((event["time"], member.number, event) for member in self.members for event in member.events()), key=lambda each: each[:2])
        done, committed, places, again = {}, {}, {}, 0
        for _, number, event in told:
            for partition, offset, first, count in event.get("read", ()):
                assert not numbered or offset == first, f"member {number} was given record {first} of partition {partition} at offset {offset}"
                place = places.get(number, {}).get(partition)
                reached = done.get(partition, 0)
                if place is None:
                    assert committed.get(partition, 0) <= offset <= reached, \
                        f"member {number} began partition {partition} at {offset}: {committed.get(partition, 0)} was committed, {reached} read"
                    places.setdefault(number, {})
                else:
                    assert offset == place, f"member {number} was at {place} of partition {partition} and was given {offset}"
                places[number][partition] = offset + count
                again += max(0, min(reached, offset + count) - offset)
                done[partition] = max(reached, offset + count)
            for partition, offset in event.get("committed", {}).items():
                committed[int(partition)] = max(offset, committed.get(int(partition), 0))
            for partition in (*event.get("revoked", ()), *event.get("lost", ())):
                places.get(number, {}).pop(partition, None)
        return done, again
