"""Errors of a real disk below a real file system (T4 of docs/reliability.md): the n-th read, write or flush that the broker causes is
answered EIO, once or with all that follow; the disk is slow, or full. A script of publishes, deliveries and settlements runs meanwhile.

After an error: a log that failed acknowledges nothing more, says so in a line and a counter; the others go on where the file system lets
them; a restart without a power cut shows nothing that is not on the disk (an image of what a power cut would leave at that moment has
to have it too); what was acknowledged is there.

    disk_errors.py                                   45 s: cases spread over the script
    NEEDLETAIL_ERRORS=all disk_errors.py             every n of reads, writes and flushes, once and on, on ext4 and XFS
    NEEDLETAIL_ERRORS=ext4:write:once:17 disk_errors.py      one case"""
import os
import pathlib
import pprint
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback

import native
from broker import Skipped, wait_until
from disk_script import QUEUE, SCRIPT, STEPS, Script, has_line, make_base, target_of
from fault_check import Broken, judge, verify
from fault_load import DEAD
from power import in_children
from recorded_disk import MountedImage, PowerCuts, RecordedDisk, Trace, chance_of, copy_sparse, die_with_parent, folder, need_a_recorded_disk, own_mounts

CHOSEN = os.environ.get("NEEDLETAIL_ERRORS", "")
SECONDS = float(os.environ.get("NEEDLETAIL_ERRORS_SECONDS", 45))
WORKERS = int(os.environ.get("NEEDLETAIL_POWER_WORKERS", 2))


class Case:
    """One error, and what the broker makes of it."""

    def __init__(self, kind, what, how, number):
        self.kind, self.what, self.how, self.number = kind, what, how, number
        self.driver = ("io_uring", "epoll")[number % 2]
        self.has_given_up = self.is_excused = False

    def __str__(self):
        return f"{self.kind}:{self.what}:{self.how}:{self.number}"

    def try_it(self, base, home):
        told, home = base.told.copy(), home / f"case-{os.getpid()}"
        with RecordedDisk(home, self.kind, base.image) as disk:
            target = target_of(disk.path / "data", self.driver)
            try:
                self.stage(disk, target, told, base, home)
            except Exception as error:
                kept = keep(disk, base, told)
                raise Broken(f"{self} on {self.driver}: {error}\n{target.log()[-4000:]}\nkept in {kept}") from error
            finally:
                target.remove()
        shutil.rmtree(home)

    def arm(self, disk):
        if self.number:
            disk.tell(f"fail {self.what} {self.number} {self.how}")

    def stage(self, disk, target, told, base, home):
        script = base.script(target, told)
        # Reads are those of the start and of what was not read since; the others begin there, too.
        self.arm(disk)
        if started(target):
            script.run(STEPS, reads=self.what == "read")
            try:
                self.judge_running(disk, target, script)
            except (ConnectionError, FileNotFoundError, native.Refused):
                # It was just about to end.
                wait_until(lambda: target.process.poll() is not None, 60, "the process has ended")
                self.judge_running(disk, target, script)
            script.close()
            if target.process.poll() is None:
                target.kill()
        disk.tell("clear")
        if not disk.is_alive():
            # The file system has given up: whoever runs it mounts it again.
            disk.unmount()
            disk.mount()
            self.has_given_up = True
        self.judge_restart(disk, target, script, told, base, home)

    def judge_running(self, disk, target, script):
        log = target.log()
        if target.process.poll() is not None:
            assert target.process.returncode == 1, f"it ended with {target.process.returncode}"
            assert "event=log_failed" in log, "it ended without saying why"
            return
        for name in script.failed:
            assert has_line(log, name), f"'{name}' failed without a line in the log: {script.refusals}"
        figures = {each["name"]: each["value"] for each in figures_of(target)}
        lines = log.count("event=log_failed") + log.count("event=log_refused")
        assert not lines or figures["needletail_logs_failed_total"] >= 1, "the counter does not know of the failure"
        if disk.is_alive():
            for log_name in (*SCRIPT, QUEUE):
                if script.client is None:
                    script.attach()
                is_refused = not script.publish(log_name, 1)
                assert not is_refused or has_line(target.log(), log_name), f"'{log_name}' refuses publishes although nothing happened to it: {script.refusals[-1]}"

    def judge_restart(self, disk, target, script, told, base, home):
        target.start()
        try:
            first = self.judge_content(target, script, told)
        except Broken:
            if not self.has_given_up:
                raise
            # When a file system gives up (Linux 6.18: ext4 after an error of its journal, XFS after one of its log), a flush of another
            # file that is under way or begins right then can be answered with success, although the transaction with that file's new
            # size has failed. No caller can know. What was promised before the error has to be there all the same.
            self.is_excused = True
            failed = next(event.time for event in Trace(disk.trace).events if event.kind in "wf")
            told = script.told_before(base.told.copy(), failed)
            first = self.judge_content(target, script, told)
        # What this process shows is on the disk: it would survive a power cut right now.
        trace = Trace(disk.trace)
        image = home / "image"
        cutter = PowerCuts(trace, base.image, home, self.kind)
        cutter.image(len(trace.events), Nothing(), image)
        cutter.close()
        target.kill()
        verify(disk.path / "data")
        with MountedImage(image, self.kind) as path:
            other = target_of(path / "data", self.driver)
            try:
                other.start()
                second = judge(other, told)
                for log in (*SCRIPT, DEAD):
                    if second[0][log] < first[0][log]:
                        raise Broken(f"a restart showed {first[0][log]} records of '{log}', of which {second[0][log]} are on the disk")
                risen = second[1] - first[1]
                if risen - {one for one in risen if one in told.trying["accept"]}:
                    raise Broken(f"messages that a restart did not have: {sorted(risen)}")
            except Exception as error:
                raise Broken(f"after a power cut behind it: {error}\n{other.log()[-2000:]}") from error
            finally:
                other.remove()
        image.unlink()

    def judge_content(self, target, script, told):
        found = judge(target, told)
        for log in SCRIPT:
            most = script.sent.get(log, 0) + script.unknown.get(log, 0)
            if found[0][log] > most:
                raise Broken(f"'{log}' has {found[0][log]} records, of which {most} were published and not refused")
        return found


def keep(disk, base, told):
    """Puts aside what was on the disk, what was done to it, and what was told."""
    kept = pathlib.Path(tempfile.mkdtemp(prefix="needletail-disk-error-"))
    for path, name in ((base.image, "base"), (disk.backing, "disk"), (disk.trace, "trace")):
        copy_sparse(path, kept / name)
    (kept / "told").write_text(pprint.pformat(vars(told), width=160))
    return kept


class Nothing:
    """Instead of chance: of what was not flushed nothing stays."""

    def choice(self, among):
        return "none" if "none" in among else among[0]

    def random(self):
        return 1.0


def started(target):
    """Whether it starts; it must do so, or end with an error that says why."""
    target.launch()
    line = target.process.stdout.readline()
    if line:
        return True
    code = target.process.wait(180)
    assert code == 1, f"the start ended with {code}"
    last = target.log().strip().splitlines()[-1]
    assert "cannot" in last or "event=" in last or "error" in last.lower(), f"no clear reason: {last}"
    return False


def figures_of(target):
    with target.client() as client:
        reader = client.call(native.STATISTICS, b"", native.FIGURES)
        return reader.list(lambda r: {"value": r.take("d"), "name": r.text()})


# Slow, and full


def try_slow(base, home, kind, what, least, most):
    """Everything is answered in the end, and nothing fails."""
    told, home = base.told.copy(), home / f"case-{os.getpid()}"
    with RecordedDisk(home, kind, base.image) as disk:
        target = target_of(disk.path / "data", "io_uring")
        try:
            target.start()
            script = base.script(target, told)
            disk.tell(f"delay {what} {least} {most}")
            assert script.run(STEPS // 2) == STEPS // 2 and not script.failed, f"a slow disk is no broken one: {script.refusals}"
            script.close()
            target.kill()
            target.start()
            judge(target, told)
        except Exception as error:
            raise Broken(f"{kind} with {what}s that take {most} us: {error}\n{target.log()[-3000:]}") from error
        finally:
            target.remove()
    shutil.rmtree(home)


def try_stalled(base, home, kind, seconds, timeout=30):
    """While a flush takes long, nothing is acknowledged by it, and who needs no disk is served. One that takes longer than `flush_timeout` is
    given up: whoever waits is refused then, the log takes nothing more, also when the flush has ended at last, and the others go on."""
    is_given_up = seconds > timeout
    told, home = base.told.copy(), home / f"case-{os.getpid()}"
    with RecordedDisk(home, kind, base.image) as disk:
        target = target_of(disk.path / "data", "io_uring")
        try:
            config = target.home / "config.yaml"
            config.write_text(config.read_text().replace("topics:\n", f"topics:\n  flush_timeout: {timeout} s\n", 1))
            target.start()
            script = base.script(target, told)
            assert script.run(8) == 8
            wait_for_rest(disk, target)
            disk.tell(f"stall flush 1 {int(seconds * 1e6)}")
            answered, took = [], []

            def publish():
                began = time.monotonic()
                is_refused = not script.publish("g", 1)
                answered.append("refusal" if is_refused else "publish")
                took.append(time.monotonic() - began)

            flushes = disk.counts()["flushes"]
            publisher = threading.Thread(target=publish)
            publisher.start()
            wait_until(lambda: disk.counts()["flushes"] > flushes, 60, "a flush is under way")
            with target.client() as other:
                other.call(native.PING, b"", native.PONG).end()
                answered.append("ping")
                answered.append("list" if other.topics(native.LIST_TOPICS) else "nothing")
            publisher.join(seconds + 60)
            assert answered == ["ping", "list", "refusal" if is_given_up else "publish"], f"answered in the order {answered}"
            assert is_given_up or took[0] > seconds - 0.5, f"acknowledged after {took[0]:.1f} s by a flush that takes {seconds} s"
            assert not is_given_up or took[0] < seconds - 0.5, f"refused after {took[0]:.1f} s, when the flush had ended"
            wait_until(lambda: re.search(r"event=flush_ended .*g/0", target.log()), seconds + 60, "the end of the flush in the log")
            figures = {each["name"]: each["value"] for each in figures_of(target)}
            assert re.search(r"event=flush_slow .*g/0", target.log()) and figures["needletail_flushes_slow_total"] >= 1, "nobody was told of it"
            assert figures["needletail_logs_stalled"] == 0 and (figures["needletail_logs_failed_total"] > 0) == is_given_up, figures
            assert script.publish("g", 1) != is_given_up and script.publish("b", 1), f"after it: {script.refusals}"
            script.close()
            target.kill()
            target.start()
            judge(target, told)
        except Exception as error:
            raise Broken(f"{kind} with a flush that takes {seconds} s: {error}\n{target.log()[-3000:]}") from error
        finally:
            target.remove()
    shutil.rmtree(home)


def wait_for_rest(disk, target):
    """Until checkpoints are written, so that the next flush is a publish's. A broker that the machine has stopped does not rest."""
    before, rests = None, 0
    while rests < 2:
        time.sleep(2)
        with target.client() as client:
            client.call(native.PING, b"", native.PONG).end()
        rests = rests + 1 if before == (before := disk.counts()["flushes"]) else 0


def try_full(base, home, kind, kibibytes):
    """The disk is full to so many KiB, whatever the reserve says: what is acknowledged is there, and it goes on when there is room."""
    told, home = base.told.copy(), home / f"case-{os.getpid()}"
    with RecordedDisk(home, kind, base.image) as disk:
        target = target_of(disk.path / "data", "epoll")
        try:
            # Without the reserve, which refuses publishes before anything fails.
            with open(target.home / "config.yaml", "a") as config:
                config.write("disk_reserve: 1 KiB\n")
            target.start()
            script = base.script(target, told)
            ballast, space = disk.path / "ballast", os.statvfs(disk.path)
            with open(ballast, "wb") as file:
                fill(file, space.f_bavail * space.f_frsize - (kibibytes << 10))
            for _ in range(8):
                if script.run(STEPS) < STEPS:
                    break
            script.close()
            if target.process.poll() is None:
                target.kill()
            ballast.unlink()
            target.start()
            found = judge(target, told)
            script = Script(target, told, {log: found[0][log] for log in SCRIPT}, base.topics)
            script.attach()
            assert all(script.publish(log, 1) for log in SCRIPT), f"there is room, and publishes are refused: {script.refusals}"
            script.close()
            target.kill()
            verify(disk.path / "data")
        except Exception as error:
            raise Broken(f"{kind} with {kibibytes} KiB left: {error}\n{target.log()[-3000:]}") from error
        finally:
            target.remove()
    shutil.rmtree(home)


def fill(file, size):
    """As much as fits, where the file system has told of too much room."""
    while size > 0:
        try:
            return os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            size -= 64 << 10


# Which cases there are


def count_operations(kind, base, home):
    """How many reads, writes and flushes a run without errors causes."""
    told, home = base.told.copy(), home / f"count-{kind}"
    with RecordedDisk(home, kind, base.image) as disk:
        target = target_of(disk.path / "data", "io_uring")
        try:
            before = disk.counts()
            target.start()
            script = base.script(target, told)
            script.run(STEPS, reads=True)
            script.close()
            target.kill()
            after = disk.counts()
        finally:
            target.remove()
    shutil.rmtree(home)
    return {what: after[what + suffix] - before[what + suffix] for what, suffix in (("read", "s"), ("write", "s"), ("flush", "es"))}


def cases_of(kind, counts):
    return [Case(kind, what, how, number) for what in ("write", "flush", "read") for how in ("once", "on") for number in range(1, counts[what] + 1)]


def others_of(base, home, kind):
    """Slow and full disks, short in CI and as long as it takes where all is asked for."""
    times = ((10_000, 10_000),) if CHOSEN != "all" else ((10_000, 10_000), (100_000, 300_000))
    for what in ("read", "write", "flush"):
        for least, most in times:
            yield f"{kind}: {what}s take {most // 1000} ms", lambda what=what, least=least, most=most: try_slow(base, home, kind, what, least, most)
    for seconds, timeout in ((4, 30), (9, 4)) if CHOSEN != "all" else ((4, 30), (9, 4), (10, 30), (45, 30)):
        yield f"{kind}: a flush takes {seconds} s", lambda seconds=seconds, timeout=timeout: try_stalled(base, home, kind, seconds, timeout)
    for kibibytes in (0, 64) if CHOSEN != "all" else (0, 4, 16, 64, 256, 1024):
        yield f"{kind}: {kibibytes} KiB left", lambda kibibytes=kibibytes: try_full(base, home, kind, kibibytes)


def run_cases(cases, prepared, home, deadline):
    """All of them, by several processes; answers how many passed, how many did not, and how many were excused."""
    began = time.monotonic()

    def work(worker):
        passed, excused, failures = 0, 0, []
        for case in cases[worker::WORKERS]:
            if time.monotonic() > deadline or len(failures) >= 10:
                break
            try:
                if isinstance(case, Case):
                    case.try_it(prepared[case.kind], home)
                    excused += case.is_excused
                else:
                    case[1]()
                passed += 1
                if passed % 100 == 0:
                    print(f"      {passed} cases of one process, {time.monotonic() - began:.0f} s", flush=True)
            except Exception as error:
                failures.append(str(error))
                print(f"FAILED disk error {error if isinstance(error, Broken) else traceback.format_exc()}", flush=True)
        return passed, len(failures), excused

    return in_children(work, WORKERS)


def main():
    began, home, prepared = time.monotonic(), folder("errors"), {}
    passed = failed = excused = 0
    if os.geteuid() == 0:
        own_mounts()
    try:
        for kind in ("ext4", "xfs"):
            try:
                need_a_recorded_disk(kind)
            except Skipped as reason:
                print(f"skip  disk errors on {kind}: {reason}", flush=True)
                continue
            prepared[kind] = make_base(kind, home)
        if not prepared:
            return 0
        if ":" in CHOSEN:
            kind, what, how, number = CHOSEN.split(":")
            cases = [Case(kind, what, how, int(number))]
        else:
            cases, told = [], []
            for kind in prepared:
                counts = count_operations(kind, prepared[kind], home)
                every = cases_of(kind, counts)
                if CHOSEN != "all":
                    chance = chance_of("cases", os.environ.get("NEEDLETAIL_ERRORS_SEED", time.time_ns()))
                    every = chance.sample(every, min(len(every), 60 if kind == "ext4" else 12))
                cases += every
                told.append(f"{kind}: {counts['read']} reads, {counts['write']} writes, {counts['flush']} flushes")
            others = [each for kind in list(prepared)[: None if CHOSEN == "all" else 1] for each in others_of(prepared[kind], home, kind)]
            print(f"      the script: {'; '.join(told)}; {len(cases)} cases and {len(others)} of slow and full disks", flush=True)
            cases = others + cases
        passed, failed, excused = run_cases(cases, prepared, home, float("inf") if CHOSEN else began + SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if prepared:
        print(f"{'FAILED' if failed else 'ok   '} disk errors: {passed} cases as promised ({excused} but for what a file system said while it gave up), {failed} not; {time.monotonic() - began:.0f} s")
        print(f"{passed} passed, {failed} failed")
    return 1 if failed or (prepared and not passed) else 0


if __name__ == "__main__":
    sys.exit(main())
