"""Real log files, streamed while readers and workers follow, with the broker killed in the middle."""
import glob
import os
import threading
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


def claim_streamed_logs_arrive_as_written_although_the_broker_is_killed():
    with Broker() as broker:
        broker.cli("topic", "create", "syslog")
        lines = real_lines()
        source = broker.home / "source.log"
        source.write_bytes(b"")
        producer = broker.spawn("produce", "syslog", "--follow", str(source))
        outputs = [open(broker.home / f"reader-{n}", "wb") for n in range(2)] + [open(broker.home / f"worker-{n}", "wb") for n in range(4)]
        readers = [broker.spawn("consume", "syslog", "--from", "earliest", "--follow", "--format", "raw", stdout=outputs[n]) for n in range(2)]
        workers = [
            broker.spawn("consume", "syslog", "--group", "workers", "--mode", "shared", "--from", "earliest", "--follow", "--format", "raw", stdout=outputs[2 + n])
            for n in range(4)
        ]
        written = 0
        count = 0
        expected = []
        killed = False
        with open(source, "ab", buffering=1 << 20) as file:
            while written < BYTES:
                for line in lines:
                    numbered = b"%d %s" % (count, line)
                    file.write(numbered + b"\n")
                    count += 1
                    written += len(numbered) + 1
                    if written >= BYTES:
                        break
                if not killed and written > BYTES // 3:
                    file.flush()
                    time.sleep(1)
                    broker.kill()
                    time.sleep(0.5)
                    broker.start()
                    killed = True

        def arrived(path):
            with open(path, "rb") as file:
                return file.read().count(b"\n")

        paths = [output.name for output in outputs]
        wait_until(lambda: all(arrived(path) >= count for path in paths[:2]), 600, "both readers have every line")
        source_bytes = source.read_bytes()
        for path in paths[:2]:
            with open(path, "rb") as file:
                assert file.read() == source_bytes, f"{path} differs from what was written"

        def worked():
            seen = set()
            for path in paths[2:]:
                with open(path, "rb") as file:
                    seen.update(line.split(b" ", 1)[0] for line in file.read().split(b"\n")[:-1])
            return seen

        wait_until(lambda: len(worked()) >= count, 600, "the workers together have every line")
        assert worked() == {b"%d" % n for n in range(count)}
        for process in (producer, *readers, *workers):
            process.terminate()
        for process in (producer, *readers, *workers):
            process.wait(timeout=20)
        return f"{count} lines, {written >> 20} MiB, one kill -9"
