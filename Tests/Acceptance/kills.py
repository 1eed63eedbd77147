"""kill -9, again and again (T5 of docs/reliability.md): the broker is killed at random instants, during recovery too, stopped in order, or
frozen for a while, while clients of both protocols publish, read, settle, commit. They are a process of their own, which writes down
in a ledger what it was told; the whole history is judged at the end.

    kills.py                            60 cycles, on both drivers in turn
    NEEDLETAIL_KILLS=1000 kills.py      so many; each 50 (NEEDLETAIL_KILLS_CHUNK) share one data directory and one history
    NEEDLETAIL_KILLS_SEED=7 kills.py    with other instants"""
import os
import signal
import statistics
import sys
import time
import traceback

import fault_load
from broker import wait_until
from fault_check import Broken, Told, judge, judge_offsets, verify
from fault_load import Load, Target
from power import FORK
from recorded_disk import chance_of, die_with_parent

CYCLES = int(os.environ.get("NEEDLETAIL_KILLS", 60))
CHUNK = int(os.environ.get("NEEDLETAIL_KILLS_CHUNK", 30 if CYCLES <= 60 else 50))
SEED = int(os.environ.get("NEEDLETAIL_KILLS_SEED", 1))
# Generous, since other programs use the machine; the figures are printed.
RESTART_SECONDS = 60


class Ledger:
    """What the clients were told, in the order in which they were. Written by their process, each line by one call."""

    def __init__(self, path):
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def mark(self, text):
        os.write(self.file, f"{text}\n".encode())

    def size(self):
        return os.path.getsize(self.path)

    def told(self):
        told = Told()
        with open(self.path) as file:
            for line in file:
                told.hear(line)
        return told


class Clients:
    """The process of the clients."""

    def __init__(self, target, ledger, seed):
        self.ended, self.failures = FORK.Event(), FORK.Queue()

        def run():
            die_with_parent()
            try:
                load = Load(target, ledger.mark, chance_of("kills", seed)).prepare()
                load.start()
                load.begin(load.work)
                for log in "gn":
                    load.begin(load.read, log)
                if "k" in load.logs:
                    load.begin(load.read_kafka, "k")
                while not self.ended.wait(0.2) and not load.failures:
                    pass
                load.stop()
                self.failures.put(None)
            except BaseException:
                self.failures.put(traceback.format_exc())

        self.process = FORK.Process(target=run, daemon=True)
        self.process.start()

    def end(self):
        self.ended.set()
        failure = self.failures.get(timeout=300)
        self.process.join()
        if failure:
            raise Broken(f"a client failed: {failure}")


class Chunk:
    """Cycles on one data directory."""

    def __init__(self, seed, driver, shards):
        self.seed, self.chance = seed, chance_of("chunk", seed)
        self.target = Target(None, driver, shards)
        self.target.before = die_with_parent
        self.starts, self.done = [], {"kill": 0, "kill in recovery": 0, "terminate": 0, "freeze": 0}

    def run(self, cycles):
        target = self.target
        ledger = Ledger(target.home / "ledger")
        clients = None
        try:
            self.start()
            clients = Clients(target, ledger, self.seed)
            for _ in range(cycles):
                self.cycle(ledger, clients)
            clients.end()
            clients = None
            told = ledger.told()
            # Once more, so that all of it has gone through a recovery.
            target.kill()
            self.start()
            counts = judge(target, told)[0]
            judge_offsets(target, told)
            code, _ = target.terminate()
            assert code == 0, f"the last stop ended with {code}"
            verify(target.data)
            return counts
        except Exception as error:
            kept = target.home.with_name(target.home.name + "-kept")
            raise Broken(f"{error}\n{target.log()[-3000:]}\nkept in {kept}") from error
        finally:
            if clients:
                clients.process.kill()
            if sys.exc_info()[0]:
                target.kill()
                target.home.rename(target.home.with_name(target.home.name + "-kept"))
            target.remove()

    def cycle(self, ledger, clients):
        target, chance = self.target, self.chance
        # Something is told before each blow: the broker is alive again.
        before = ledger.size()
        wait_until(lambda: ledger.size() > before or not clients.process.is_alive(), 120, "the clients are told something")
        if not clients.process.is_alive():
            clients.end()
        time.sleep(chance.choice((0, 0.05, 0.2, 0.6)) * chance.random())
        draw = chance.random()
        assert target.process.poll() is None, f"the broker ended by itself: {target.process.returncode}"
        if draw < 0.12:
            self.count("freeze")
            target.process.send_signal(signal.SIGSTOP)
            time.sleep(chance.choice((0.1, 0.5, 2)) * chance.random())
            if chance.random() < 0.5:
                target.process.send_signal(signal.SIGCONT)
                return
            target.kill()
        elif draw < 0.25:
            self.count("terminate")
            code, _ = target.terminate()
            assert code == 0, f"SIGTERM ended it with {code}"
        else:
            self.count("kill")
            target.kill()
        while chance.random() < 0.3:
            self.count("kill in recovery")
            self.start_and_kill(chance.random() * 1.2 * statistics.median(self.starts))
        self.start()

    def count(self, what):
        self.done[what] += 1

    def start(self):
        began = time.monotonic()
        self.target.start()
        self.starts.append(time.monotonic() - began)
        assert self.starts[-1] < RESTART_SECONDS, f"a restart took {self.starts[-1]:.1f} s"

    def start_and_kill(self, seconds):
        """Kills it so soon that it may not be ready yet."""
        self.target.launch()
        time.sleep(seconds)
        self.target.kill()
        self.target.process.stdout.close()


def main():
    began, number, done, failures = time.monotonic(), SEED, {}, 0
    starts, cycles, told = [], 0, {}
    while cycles < CYCLES and not failures:
        driver, shards = ("io_uring", "epoll")[number % 2], (1, 1, 3)[number // 2 % 3]
        count = min(CHUNK, CYCLES - cycles)
        chunk = Chunk(number, driver, shards)
        try:
            counts = chunk.run(count)
        except Exception as error:
            failures += 1
            print(f"FAILED kills, seed {number}, {driver}, {shards} shards: {error if isinstance(error, Broken) else traceback.format_exc()}", flush=True)
            break
        for key, value in chunk.done.items():
            done[key] = done.get(key, 0) + value
        for key, value in counts.items():
            told[key] = told.get(key, 0) + value
        starts, cycles, number = starts + chunk.starts, cycles + count, number + 1
        print(f"      seed {number - 1}, {driver}, {shards} shards: {count} cycles, {sum(counts.values())} records, {time.monotonic() - began:.0f} s", flush=True)
    if starts:
        kinds = ", ".join(f"{value} {key}" for key, value in done.items())
        kafka = "native and librdkafka" if fault_load.confluent_kafka else "native alone (confluent-kafka is missing)"
        print(f"ok    {cycles} cycles ({kinds}), {sum(told.values())} records judged, {kafka}; restart {statistics.median(starts) * 1000:.0f} ms in the median, "
              f"{max(starts) * 1000:.0f} ms at most; {time.monotonic() - began:.0f} s")
    print(f"{cycles} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
