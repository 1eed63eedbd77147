"""What a client does while a disk fails (disk_errors.py): the same steps each time, one after the other, and what came of them."""
import contextlib
import os
import re
import time

import native
from broker import wait_until
from fault_check import Broken, Told, read_log
from fault_load import QUEUE, TAG, Load, Target, payload
from recorded_disk import MountedImage, chance_of, die_with_parent, make_image

SCRIPT = "gbe"
STEPS = int(os.environ.get("NEEDLETAIL_ERRORS_STEPS", 48))
STORAGE_FAILED, LIMIT_REACHED, SHUTTING_DOWN = 20, 18, 22


class Script:
    """The same steps each time, one after the other. Writes down what was acknowledged and what was refused."""

    def __init__(self, target, told, sent=None, topics=None):
        self.target, self.told = target, told
        self.chance = chance_of("script")
        self.sent, self.topics = dict(sent or {}), topics
        # What was refused for the disk's sake; which of the refused may be stored all the same: the first of each log.
        self.failed, self.unknown = set(), {}
        self.client, self.refusals, self.marks = None, [], []

    def prepare(self):
        load = Load(self.target, lambda text: None, self.chance, SCRIPT)
        load.prepare()
        self.topics = load.topics
        return self

    def attach(self):
        self.client = self.target.client()
        self.worker = f"script-{self.told.heard}"
        self.say(f"w {self.worker}")
        with contextlib.suppress(native.Refused):
            self.client.subscribe(1, QUEUE, "queue", messages=1)

    def say(self, text):
        """Writes down what was told, and when."""
        self.marks.append((time.monotonic_ns(), text))
        self.told.hear(text, self.marks[-1][0])

    def told_before(self, told, moment):
        """What was promised before a moment, and all that was tried, on top of what was told before the script."""
        for when, text in self.marks:
            if when < moment or text[0] not in "aST":
                told.hear(text, when)
        return told

    def run(self, steps, reads=False):
        """Answers how many steps were taken before the broker ended, if it did."""
        for step in range(steps):
            try:
                if self.client is None:
                    self.attach()
                self.take(step)
                if reads:
                    for log in SCRIPT:
                        with contextlib.suppress(native.Refused):
                            read_log(self.client, self.topics[log]["id"], log)
            except (ConnectionError, FileNotFoundError, native.Refused) as error:
                if isinstance(error, native.Refused) and error.code != SHUTTING_DOWN:
                    raise
                self.client = None
                # The end of the process follows that of its connections.
                with contextlib.suppress(AssertionError):
                    wait_until(lambda: self.target.process.poll() is not None, 20, "the process has ended")
                if self.target.process.poll() is None:
                    continue
                return step
            except TimeoutError as error:
                raise Broken(f"step {step} was not answered within two minutes") from error
        return steps

    def take(self, step):
        kind = "ggbeqw+w"[step % 8]
        if kind in SCRIPT:
            self.publish(kind, 1 if kind != "b" else 8)
        elif kind == "q":
            for _ in range(2):
                self.publish(QUEUE, 1)
        elif kind == "w":
            self.work(step)
        else:
            self.change_catalog(step)

    def publish(self, log, count):
        first = self.sent.get(log, 0)
        contents = [payload(log, 1, first + each, self.chance) for each in range(count)]
        identity = self.topics[log]["id"]
        try:
            if count == 1:
                published = self.client.publish(identity, contents[0])
            else:
                published = self.client.publish_batch(identity, native.make_batch(contents))
        except native.Refused as error:
            self.refuse(log, error, count)
            return False
        if log in self.failed:
            raise Broken(f"'{log}' acknowledges again after it had failed")
        self.sent[log] = first + count
        self.say(f"a {log} 1 {first} {count} {published['offset']}")
        return True

    def refuse(self, log, error, count=0):
        if error.code == SHUTTING_DOWN:
            raise ConnectionError
        if error.code not in (STORAGE_FAILED, LIMIT_REACHED):
            raise Broken(f"'{log}' was refused with {error}")
        self.refusals.append(f"{log}: {error}")
        if error.code == STORAGE_FAILED and log not in self.failed:
            self.failed.add(log)
            self.unknown[log] = count

    def work(self, step):
        if not self.client.deliveries:
            # What has come by now.
            self.client.call(native.PING, b"", native.PONG).end()
        while self.client.deliveries:
            delivery = self.client.deliveries.pop(0)
            for record in delivery.records:
                number = "{} {}".format(*map(int, TAG.match(record.value).groups()[1:]))
                self.say(f"d {number} {int(delivery.is_redelivery)} {self.worker}")
                self.say(f"s accept {number}")
                try:
                    self.client.settle(1, [(delivery.partition, native.ACCEPT, record.offset, record.offset)])
                    self.say(f"S accept {number}")
                except native.Refused as error:
                    self.refuse("__cursors", error)
            self.client.credit(1, len(delivery.records))

    def change_catalog(self, step):
        name = f"t1-{self.told.heard}"
        self.say(f"t+ {name}")
        try:
            self.client.create(name)
            self.say(f"T+ {name}")
            if step % 16 == 6:
                self.say(f"t- {name}")
                self.client.ok(native.DELETE_TOPIC, native.text(name))
                self.say(f"T- {name}")
        except native.Refused as error:
            self.refuse("__catalog", error)

    def close(self):
        if self.client:
            self.client.socket.close()
            self.client = None


def target_of(data, driver):
    target = Target(data, driver, 1, kafka=False)
    target.before = die_with_parent
    return target


class Base:
    """A disk with a broker's data on it, left clean, and what was told of it."""

    def __init__(self, image):
        self.image, self.told, self.sent, self.topics = image, Told(), {}, {}

    def script(self, target, told):
        return Script(target, told, self.sent, self.topics)


def make_base(kind, home):
    base = Base(home / f"base-{kind}")
    make_image(base.image, kind, 64)
    with MountedImage(base.image, kind) as path:
        target = target_of(path / "data", "io_uring")
        try:
            target.start()
            script = Script(target, base.told).prepare()
            assert script.run(STEPS) == STEPS
            script.close()
            code, _ = target.terminate()
            assert code == 0 and not script.failed
        finally:
            target.remove()
    base.sent, base.topics = script.sent, script.topics
    return base


def has_line(log, name):
    """Whether the broker's log says that this log takes no more writes."""
    return re.search(rf'event=log_(failed|refused) log="?(\S*/)?{name}\b', log)
