"""Real log files, streamed while readers and workers follow, with the broker killed in the middle."""
import glob
import os
import time

from broker import Broker, wait_until

BYTES = int(os.environ.get("NEEDLETAIL_STREAM_BYTES", 64 << 20))


def real_lines():
    """The machine's own logs, as they are."""
    content = b""
    for path in sorted(glob.glob("/var/log/dpkg.log*") + glob.glob("/var/log/apt/*.log*") + glob.glob("/var/log/*.log")):
        if path.endswith((".gz", ".xz")):
            continue
        with open(path, "rb") as file:
            content += file.read(8 << 20)
    lines = [line for line in content.split(b"\n") if line]
    assert len(lines) > 50, "this machine has no logs to stream"
    return lines


class Output:
    """What one consumer has printed so far, read once as it grows."""

    def __init__(self, path):
        self.file = open(path, "rb")
        self.rest = b""

    def new_lines(self):
        self.rest += self.file.read()
        *lines, self.rest = self.rest.split(b"\n")
        return lines


class Reader(Output):
    """Must show the source byte for byte, from its beginning."""

    def __init__(self, path, source):
        super().__init__(path)
        self.source = open(source, "rb")
        self.count = 0

    def check(self):
        for line in self.new_lines():
            expected = self.source.readline()
            assert line + b"\n" == expected, f"line {self.count} is {line[:80]!r}, not {expected[:80]!r}"
            self.count += 1
        return self.count


def claim_streamed_logs_arrive_as_written_although_the_broker_is_killed():
    with Broker() as broker:
        broker.cli("topic", "create", "syslog")
        lines = real_lines()
        source = broker.home / "source.log"
        source.write_bytes(b"")
        producer = broker.spawn("produce", "syslog", "--follow", str(source))
        paths = [broker.home / f"reader-{n}" for n in range(2)] + [broker.home / f"worker-{n}" for n in range(4)]
        outputs = [open(path, "wb") for path in paths]
        follow = ("consume", "syslog", "--from", "earliest", "--follow", "--format", "raw")
        consumers = [broker.spawn(*follow, stdout=output) for output in outputs[:2]]
        consumers += [broker.spawn(*follow, "--group", "workers", "--mode", "shared", stdout=output) for output in outputs[2:]]
        written = count = 0
        killed = False
        began = time.monotonic()
        with open(source, "ab", buffering=1 << 20) as file:
            while written < BYTES:
                for line in lines:
                    numbered = b"%d %s\n" % (count, line)
                    file.write(numbered)
                    count += 1
                    written += len(numbered)
                    if written >= BYTES:
                        break
                if not killed and written > BYTES // 3:
                    file.flush()
                    time.sleep(1)
                    broker.kill()
                    time.sleep(0.5)
                    broker.start()
                    killed = True
        assert killed
        readers = [Reader(path, source) for path in paths[:2]]
        wait_until(lambda: all(reader.check() == count for reader in readers), 900, "both readers have every line as written")
        workers = [Output(path) for path in paths[2:]]
        done = bytearray(count)

        def all_worked():
            for worker in workers:
                for line in worker.new_lines():
                    done[int(line.split(b" ", 1)[0])] = 1
            return 0 not in done

        wait_until(all_worked, 900, "the workers together have every line")
        took = time.monotonic() - began
        for process in (producer, *consumers):
            process.terminate()
        for process in (producer, *consumers):
            process.wait(timeout=120)
        shares = [os.path.getsize(path) for path in paths[2:]]
        assert all(shares), f"a worker got nothing: {shares}"
        return f"{count} lines, {written >> 20} MiB, one kill -9, {took:.0f} s"
