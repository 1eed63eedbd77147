"""Power cuts on real file systems (T3 of docs/reliability.md): records what the broker and the file system write under load, judges the
trace, makes images of what power cuts leave of it, and lets the broker recover each.

    power.py                    60 s: as many images as fit, ext4 mostly
    NEEDLETAIL_POWER_IMAGES=5000 power.py          that many, of as many traces as that takes
    NEEDLETAIL_POWER_SEED=17 power.py              begins with another trace

A trace is what happened once; the images of one are the same again. One that breaks a promise is kept, with what was told before."""
import errno
import multiprocessing
import os
import pathlib
import pprint
import queue
import shutil
import sys
import tempfile
import time
import traceback

from broker import Skipped, wait_until
from fault_check import Broken, Told, WrittenRecords, judge, judge_offsets, read_log, told_before, verify
from fault_load import LOGS, QUEUE, Load, Target
from recorded_disk import LEAST, MountedImage, PowerCuts, RecordedDisk, Trace, chance_of, choose_cuts, copy_sparse, die_with_parent, folder, make_image, need_a_recorded_disk, own_mounts

SECONDS = float(os.environ.get("NEEDLETAIL_POWER_SECONDS", 60))
IMAGES = int(os.environ.get("NEEDLETAIL_POWER_IMAGES", 0))
SEED = int(os.environ.get("NEEDLETAIL_POWER_SEED", 1))
WORKERS = int(os.environ.get("NEEDLETAIL_POWER_WORKERS", 2))
# What `none` promises is less: its records are what the rule and the images must catch.
CONTROL = "n"
JUDGED = "gbekq"
FORK = multiprocessing.get_context("fork")


class Setting:
    """What one seed stands for."""

    def __init__(self, seed, kind):
        self.seed, self.kind = seed, kind
        self.driver = ("io_uring", "epoll")[seed % 2]
        self.shards = (1, 1, 3)[seed % 3]
        self.restart = ("kill", "terminate")[seed // 2 % 2]

    def target(self, data, kafka=True):
        target = Target(data, self.driver, self.shards, kafka)
        target.before = die_with_parent
        return target

    def __str__(self):
        return f"seed {self.seed}: {self.kind}, {self.driver}, {self.shards} shards, {self.restart}"


def in_child(work, *arguments):
    """Runs in a process of its own, whose threads and memory go with it."""
    results = FORK.Queue()

    def run():
        die_with_parent()
        try:
            results.put((work(*arguments), None))
        except BaseException:
            results.put((None, traceback.format_exc()))

    process = FORK.Process(target=run, daemon=True)
    process.start()
    while True:
        try:
            result, error = results.get(timeout=1)
            break
        except queue.Empty:
            assert process.is_alive() or not results.empty(), f"the process of {work.__name__} is gone"
    process.join()
    if error:
        raise AssertionError(error)
    return result


# Recording


def record_first(setting, base, home, seconds):
    """Load on an empty disk, with a restart of the broker in its midst."""
    make_image(base, setting.kind, 96)
    with RecordedDisk(home, setting.kind, base) as disk:
        target = setting.target(disk.path / "data")
        try:
            target.start()
            told = Counted(disk.mark)
            load = Load(target, told, chance_of("load", setting.seed)).prepare()
            # Flushes take their time, so that an answer that does not wait for one comes before it.
            disk.tell("delay flush 0 3000")
            load.start()
            time.sleep(seconds / 2)
            wait_until(lambda: told.count > 200, 60, "half of what is to be judged")
            getattr(target, setting.restart)()
            target.start()
            time.sleep(seconds / 2)
            wait_until(lambda: told.count > 400, 60, "what is to be judged")
            end(target, load)
        finally:
            target.remove()


class Counted:
    """Passes marks on, and counts the acknowledgements among them: a busy machine takes longer for as many."""

    def __init__(self, mark):
        self.mark, self.count = mark, 0

    def __call__(self, text):
        self.mark(text)
        self.count += text.startswith("a ")


def record_second(setting, base, home, told, seconds):
    """The broker's recovery from an image, and what follows."""
    with RecordedDisk(home, setting.kind, base) as disk:
        target = setting.target(disk.path / "data")
        try:
            disk.tell("delay flush 0 3000")
            target.start()
            load = Load(target, disk.mark, chance_of("load", setting.seed, "again"), life=2).prepare()
            load.committed = told.committing
            with target.client() as client:
                for log in (*load.logs, QUEUE):
                    # Shown to a consumer, and so durable.
                    count = client.describe(log)["partitions"][0]["end"] if log == QUEUE else len(read_log(client, load.topics[log]["id"], log)[0])
                    load.first[log] = count
                    disk.mark(f"v {log} {count}")
            load.start()
            time.sleep(seconds)
            end(target, load)
        finally:
            target.remove()


def end(target, load):
    load.stopped.set()
    target.kill()
    load.stop()


# The rule


def judge_trace(setting, trace, base):
    """Write, flush, acknowledge: for each acknowledgement of a log that promises a flush, and as the control for one that does not."""
    rule = WrittenRecords(trace, base)
    for log in JUDGED:
        if rule.late.get(log):
            raise Broken(f"{setting}: {len(rule.late[log])} records of '{log}' were acknowledged before a flush covered them, first {rule.late[log][0]}")
    judged = sum(rule.judged.get(log, 0) for log in JUDGED)
    assert judged > 50, f"only {judged} acknowledgements"
    assert rule.unseen <= judged // 20, f"{rule.unseen} of {judged} records cannot be found on the disk"
    assert rule.late.get(CONTROL), "the rule did not catch the topic without flushes"
    return judged, len(rule.late[CONTROL])


def judge_budget(kind):
    """One small publish costs few flushes and few bytes (S4): a kernel that changes that is noticed here. What a clock does, of the broker or
    of the file system, adds to that where the machine stands still meanwhile, and that is not so each time."""
    for left in (2, 1, 0):
        try:
            return measure_budget(kind)
        except Broken:
            if not left:
                raise


def measure_budget(kind):
    home, size, count = folder("budget"), 2_000, 50
    try:
        make_image(home / "base", kind, 96)
        with RecordedDisk(home / "disk-of-budget", kind, home / "base") as disk:
            target = Setting(0, kind).target(disk.path / "data", kafka=False)
            try:
                target.start()
                with target.client() as client:
                    topic = client.create("budget")["id"]
                    for _ in range(count):
                        client.publish(topic, b"x" * size)
                    before = Trace(disk.trace)
                    for _ in range(count):
                        client.publish(topic, b"x" * size)
                    after = Trace(disk.trace)
            finally:
                target.remove()
        written = sum(event.size for event in after.events[len(before.events) :] if event.kind == "W") / count
        flushes = (after.count("D") - before.count("D")) / count
        if written > 4 * size + (16 << 10) or flushes > 2.5:
            raise Broken(f"{kind}: a publish of {size} B costs {written:.0f} B and {flushes:.1f} flushes")
        return f"a publish of {size} B writes {written:.0f} B with {flushes:.1f} flushes"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def judge_the_judge():
    """What did not happen is found out: each of these histories is false in one place."""
    target, told, marks = Setting(0, "none").target(None, kafka=True), Told(), []
    target.data = target.home / "data"
    try:
        target.start()
        load = Load(target, lambda text: marks.extend(text.split("\nmark ")), chance_of("judge")).prepare().start()
        time.sleep(1)
        wait_until(lambda: has_enough(marks), 120, "something of everything that is told")
        load.stop()
        for text in marks:
            told.hear(text)
        judge(target, told)
        judge_offsets(target, told)
        false = {f"a {log} 1 {told.least(log) + 5000} 1 {told.least(log) + 5000}" for log in (*load.logs, QUEUE)}
        # The queue's messages are delivered to whoever is attached; those that were never settled are still there.
        queued = {one for one in ((1, number) for number in range(told.least(QUEUE))) if not any(one in each for each in told.trying.values())}
        false |= {f"S accept 1 {max(queued)[1]}", f"S reject 1 {max(queued)[1]}", "T+ t-nobody", f"v g {told.least('g') // 2}"}
        false |= {f"T- {min(told.topics_made - told.gone_or_not)}", f"O {told.committing + 7}", f"a g 1 {told.least('g')} 1 {told.least('g') + 1}"}
        for text in false:
            other = told.copy()
            try:
                other.hear(text)
                judge(target, other)
                judge_offsets(target, other)
            except Broken:
                continue
            raise AssertionError(f"nobody noticed that '{text}' did not happen")
        return len(false)
    finally:
        target.remove()


def has_enough(marks):
    """Whether there is something of everything that the judge's judge lies about: topics that stay, messages that nobody has settled, offsets."""
    told = Told()
    for text in list(marks):
        told.hear(text)
    tried = set().union(*told.trying.values())
    waiting = sum((1, number) not in tried for number in range(told.least(QUEUE)))
    return len(told.topics_made - told.gone_or_not) >= 6 and waiting >= 6 and told.least("g") >= 10 and told.committing and told.committed


# Images


def check_image(setting, image, told, time_, delay, chance):
    """Starts the broker on what the power cut left. Answers whether records of the control were lost; None where the file system itself
    was lost, as ext4 is when its superblock is torn while it is being mounted."""
    try:
        mounted = MountedImage(image, setting.kind)
        mounted.__enter__()
    except OSError as error:
        if error.errno in (errno.EBADMSG, errno.EUCLEAN):
            return None
        raise
    try:
        return judge_image(setting, mounted.path, told, time_, delay, chance)
    finally:
        mounted.__exit__()


def judge_image(setting, path, told, time_, delay, chance):
    target = setting.target(path / "data")
    try:
        target.start()
        first = judge(target, told, time_, delay)
        judge_offsets(target, told)
        if chance.random() < 0.25:
            # Recovering twice is recovering once.
            target.kill()
            target.start()
            second = judge(target, told, time_, delay)
            if first != second:
                raise Broken(f"the second recovery found something else: {first[0]}, then {second[0]}")
            target.cli("produce", "afterwards", "--create", input=b"goes on\n")
        target.kill()
        verify(path / "data")
        return first[0][CONTROL] < told.least(CONTROL)
    except Exception as error:
        raise Broken(f"{error}\n{target.log()[-3000:]}") from error
    finally:
        target.remove()


def check_round(setting, trace, base, home, told, cuts, deadline):
    """Images of these cuts, in their order. Answers how many there were, how many lost records of the control, and how many their file system."""
    told, heard, delay = told.copy(), 0, longest_delay(trace)
    cutter = PowerCuts(trace, base, home, setting.kind)
    image = pathlib.Path(home) / f"image-{os.getpid()}"
    images = lost = broken = 0
    try:
        for number, cut in enumerate(cuts):
            if time.monotonic() > deadline:
                break
            for event in trace.events[heard:cut]:
                if event.kind == "M":
                    told.hear(trace.bytes(event).decode(), event.time)
            heard = cut
            name = ("image", setting.seed, cut, number)
            cutter.image(cut, chance_of(*name), image)
            time_ = trace.events[cut - 1].time if cut else 0
            try:
                has_lost = check_image(setting, image, told, time_, delay, chance_of(*name, "check"))
            except Exception as error:
                cutter.image(cut, chance_of(*name), image)
                raise Broken(f"{setting}, power cut before event {cut} of {len(trace.events)} (image {number}): {error}\nkept in {keep(image, told)}") from error
            images, lost, broken = images + (has_lost is not None), lost + bool(has_lost), broken + (has_lost is None)
    finally:
        cutter.close()
        image.unlink(missing_ok=True)
    return images, lost, broken


def keep(image, told):
    """Puts an image aside, so that it can be looked at: mount -o loop."""
    kept = pathlib.Path(tempfile.mkdtemp(prefix="needletail-power-cut-", dir=tempfile.gettempdir()))
    copy_sparse(image, kept / "image")
    (kept / "told").write_text(pprint.pformat(vars(told), width=160))
    return kept


def longest_delay(trace):
    """What `interval` may take longer in this trace: its longest flush, and the longest time in which nothing at all was said or written,
    because the broker was down or the machine had no time for it."""
    begun, flush, quiet = {}, 0, 0
    marks = [place for place, event in enumerate(trace.events) if event.kind == "M"]
    events = trace.events[marks[0] : marks[-1]] if marks else []
    for before, event in zip(events, events[1:]):
        quiet = max(quiet, event.time - before.time)
        if event.kind == "F":
            begun[event.offset] = event.time
        elif event.kind == "D" and event.offset in begun:
            flush = max(flush, event.time - begun[event.offset])
    return (flush + quiet) / 1e9


def check_images(setting, trace_path, base, home, told, count, deadline, salt=""):
    """Images of one trace, by several processes, each in rounds over the whole of it."""

    def work(worker):
        trace, images, lost, broken, number = Trace(trace_path), 0, 0, 0, 0
        mine = count // WORKERS + (worker < count % WORKERS)
        while images < mine and time.monotonic() < deadline:
            chance = chance_of("cuts", setting.seed, salt, worker, number)
            cuts = choose_cuts(trace, min(30, mine - images), chance)
            # Recovery is a small part of a trace, and worth a large part of the cuts.
            recovery = next((place for place, event in enumerate(trace.events) if event.kind == "M"), 0)
            cuts = sorted([chance.randrange(recovery + 1) if chance.random() < (0.4 if salt else 0.05) else cut for cut in cuts])
            more, gone, useless = check_round(setting, trace, base, home, told, cuts, deadline)
            images, lost, broken, number = images + more, lost + gone, broken + useless, number + 1
        return images, lost, broken

    return in_children(work, WORKERS)


def in_children(work, count):
    """Runs `work(number)` in so many processes, and adds up what they answer."""
    results = FORK.Queue()

    def run(number):
        die_with_parent()
        try:
            results.put((work(number), None))
        except BaseException as error:
            results.put((None, f"{error}" if isinstance(error, Broken) else traceback.format_exc()))

    processes = [FORK.Process(target=run, args=(number,), daemon=True) for number in range(count)]
    for process in processes:
        process.start()
    answers = [results.get() for _ in processes]
    for process in processes:
        process.join()
    errors = [error for _, error in answers if error]
    if errors:
        raise Broken("\n".join(errors))
    return tuple(map(sum, zip(*(result for result, _ in answers))))


# A seed, and many


class Sums:
    def __init__(self):
        self.traces = self.images = self.lost = self.broken = self.judged = self.caught = self.second = 0

    def __str__(self):
        return (
            f"{self.images} images of {self.traces} traces ({self.second} of a recovery under way); {self.judged} acknowledgements, each behind a flush "
            f"that covers it; control: without flushes {self.caught} were not, and {self.lost} images had lost some; {self.broken} images were no file system")


def run_seed(seed, kind, count, deadline, sums, seconds=3):
    """One trace with its images, and one of a recovery with images of that."""
    setting, home = Setting(seed, kind), folder("power")
    try:
        first, base = home / "first", home / "base"
        in_child(record_first, setting, base, first, seconds)
        judged, caught = in_child(lambda: judge_trace(setting, Trace(first / "trace"), base))
        sums.traces, sums.judged, sums.caught = sums.traces + 1, sums.judged + judged, sums.caught + caught
        # A third is for power cuts during a recovery.
        soon = time.monotonic() + (deadline - time.monotonic()) * 0.6
        images, lost, broken = check_images(setting, first / "trace", base, home, Told(), max(1, count * 2 // 3), soon)
        sums.images, sums.lost, sums.broken = sums.images + images, sums.lost + lost, sums.broken + broken
        if time.monotonic() < deadline:
            again(setting, first, base, home, count - count * 2 // 3, deadline, sums)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def again(setting, first, base, home, count, deadline, sums):
    """Power goes while the broker recovers from a power cut, or soon after."""

    def choose():
        trace, chance = Trace(first / "trace"), chance_of("second", setting.seed)
        cut = choose_cuts(trace, 1, chance, len(trace.events) // 2)[0]
        PowerCuts(trace, base, home, setting.kind).image(cut, chance, home / "second-base")
        told = told_before(trace, cut)
        # What they have after the cut is what counts from here on.
        for log in LOGS:
            if LOGS[log][0] < 2:
                told.acknowledged.pop(log, None)
        return told

    told = in_child(choose)
    second = home / "second"
    in_child(record_second, setting, home / "second-base", second, told, 1)
    images, lost, broken = check_images(setting, second / "trace", home / "second-base", home, told, count, deadline, "again")
    sums.images, sums.second, sums.traces, sums.broken = sums.images + images, sums.second + images, sums.traces + 1, sums.broken + broken


def main():
    sums, began = {"ext4": Sums(), "xfs": Sums()}, time.monotonic()
    if os.geteuid() == 0:
        own_mounts()
    print(f"ok    the judge: {in_child(judge_the_judge)} false histories are all found out", flush=True)
    for kind in sums:
        try:
            need_a_recorded_disk(kind)
            print(f"ok    budget on {kind}: {in_child(judge_budget, kind)}", flush=True)
        except Skipped as reason:
            print(f"skip  power cuts on {kind}: {reason}", flush=True)
            sums[kind] = None
    kinds = [kind for kind in sums if sums[kind]]
    failures, number = [], SEED

    def done():
        return sum(sums[kind].images for kind in kinds)

    def is_over():
        return done() >= IMAGES if IMAGES else time.monotonic() - began > SECONDS * 0.9

    while kinds and not is_over() and len(failures) < 5:
        # One in five is XFS, whose images take longer: with both drivers, and each number of shards, in turn.
        kind = "xfs" if "xfs" in kinds and (number % 5 == 2 or kinds == ["xfs"]) else kinds[0]
        deadline = float("inf") if IMAGES else began + (SECONDS if number > SEED else SECONDS * 0.7)
        count = min(150 if kind == "ext4" else 60, IMAGES - done()) if IMAGES else 10_000 if number == SEED else 60
        try:
            run_seed(number, kind, count, deadline, sums[kind])
            print(f"      {Setting(number, kind)}: {sums[kind]}", flush=True)
        except Exception as error:
            failures.append(number)
            print(f"FAILED power cuts, {Setting(number, kind)}\n{error if isinstance(error, Broken) else traceback.format_exc()}", flush=True)
        number += 1
    for kind in kinds:
        print(f"ok    power cuts on {kind}: {sums[kind]}")
    if any(sums[kind].images > 100 and not sums[kind].lost for kind in kinds):
        failures.append("control")
        print("FAILED no image lost anything of the topic without flushes: the images prove nothing")
    if any(sums[kind].broken > 5 + sums[kind].images // 100 for kind in kinds):
        failures.append("file systems")
        print("FAILED too many images were no file system: the recorder or the disk is wrong")
    print(f"{done()} images in {time.monotonic() - began:.0f} s")
    print(f"{done()} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
