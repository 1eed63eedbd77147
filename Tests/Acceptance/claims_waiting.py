"""What a shard does that has nothing to do: `wait: sleep | adaptive | spin`."""
import os
import pathlib
import signal
import subprocess
import time

from broker import BINARY, Broker, run_quietly, wait_until

# Of a core, over the seconds below.
REST, BUSY = 0.05, 0.8
SECONDS = 2


def spent(broker):
    """Seconds for which the broker's threads ran, and for which they waited for a core."""
    ran = waited = 0
    for thread in pathlib.Path(f"/proc/{broker.process.pid}/task").iterdir():
        figures = (thread / "schedstat").read_text().split()
        ran, waited = ran + int(figures[0]), waited + int(figures[1])
    return ran / 1e9, waited / 1e9


def shares(broker, seconds=SECONDS):
    """How much of a core the broker uses while nothing is asked of it, and how much it would use if the machine were not busy with others."""
    before, began = spent(broker), time.monotonic()
    time.sleep(seconds)
    ran, waited = (after - earlier for after, earlier in zip(spent(broker), before))
    passed = time.monotonic() - began
    return ran / passed, (ran + waited) / passed


def rests(broker):
    """The share of a core of a broker that rests: the first that is small, since it or its clients may still be ending what they did."""
    for _ in range(5):
        if (rest := shares(broker)[0]) < REST:
            break
    return rest


def spins(broker):
    """The share of a core of a broker that spins: the first that is large, since the machine may have stood still meanwhile."""
    for _ in range(20):
        if (busy := shares(broker, SECONDS / 4)[1]) > BUSY:
            break
    return busy


def work(broker):
    """Some of everything, so that whoever learns has something to learn from."""
    lines = b"".join(b"line %d\n" % number for number in range(20_000))
    broker.cli("produce", "t", "--create", input=lines)
    assert broker.cli("consume", "t", "--from", "earliest", "--max", "20000").stdout == lines
    run_quietly(BINARY, "bench", "latency", "--rate", "20000", "--seconds", "1", "--durability", "none", "--server", broker.server)


def claim_an_adaptive_broker_at_rest_uses_no_processor_time():
    with Broker("--wait", "adaptive", "--spin", "100us") as broker:
        work(broker)
        reader = broker.spawn("consume", "t", "--follow", stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            rest = rests(broker)
        finally:
            reader.terminate()
            reader.wait(timeout=120)
        assert rest < REST, f"{rest:.3f} of a core at rest"
        return f"{rest:.3f} of a core at rest, with a reader"


def claim_a_spinning_broker_never_sleeps_and_works():
    with Broker("--wait", "spin") as broker:
        work(broker)
        busy = spins(broker)
        assert busy > BUSY, f"{busy:.3f} of a core"
        code, _ = broker.terminate()
        assert code == 0, code
        return f"{busy:.2f} of a core"


def claim_waiting_changes_while_the_broker_runs():
    broker = Broker()
    # A flag would win over the file.
    broker.waits = list
    with broker:
        broker.terminate()
        path = broker.home / "needletail.yaml"
        path.write_text("wait: spin\n")
        broker.flags = ("--config", str(path))
        broker.start()
        spinning = spins(broker)
        path.write_text("wait: sleep\n")
        broker.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "changed=wait" in broker.log().replace('"', ""), 60, "a log line that says reload")
        asleep = rests(broker)
        assert spinning > BUSY and asleep < REST, (spinning, asleep)


def claim_a_configuration_of_before_may_spin_as_it_said():
    with Broker() as broker:
        path = broker.home / "needletail.yaml"
        for text, expected in (("spin: 30 us\n", "adaptive"), ("spin: 0 s\n", "sleep"), ("", "sleep"), ("spin: 30 us\nwait: spin\n", "spin")):
            path.write_text(text)
            shown = run_quietly(BINARY, "config", "print", "--config", str(path))
            assert f"\nwait: {expected} " in shown, (text, shown)


def claim_where_clients_would_have_no_core_an_adaptive_shard_sleeps():
    cores = sorted(os.sched_getaffinity(0))[:1]
    broker = Broker("--wait", "adaptive", "--shards", "1")
    broker.before = lambda: os.sched_setaffinity(0, cores)
    with broker:
        wait_until(lambda: "few_cores" in broker.log(), 60, "a log line that says so")
        work(broker)
