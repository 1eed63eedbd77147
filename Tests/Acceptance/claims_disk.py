"""A disk that fills up: publishers are told, everybody else goes on, and it ends by itself when there is room again."""
import os
import pathlib
import re
import subprocess
import tempfile

from broker import Broker, Skipped, wait_until


class SmallDisk:
    """An ext4 file system of its own, on a loop device; needs root."""

    def __init__(self, mebibytes):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="needletail-disk-"))
        self.image = self.home / "image"
        self.path = self.home / "mount"
        self.path.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(mebibytes << 20)
        subprocess.run(["mkfs.ext4", "-q", str(self.image)], check=True, timeout=60)
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.path)], check=True, timeout=60, capture_output=True)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.path)], timeout=60)
        self.image.unlink()


def claim_a_full_disk_refuses_publishes_and_nothing_else():
    if os.geteuid() != 0:
        raise Skipped("mounting needs root")
    try:
        disk = SmallDisk(192)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise Skipped(f"no loop device here ({error})")
    with disk as path, Broker(data=path / "data") as broker:
        broker.cli("produce", "filler", "--create", input=b"first\n")
        broker.cli("queue", "create", "jobs")
        broker.cli("queue", "send", "jobs", "a job")
        ballast = path / "ballast"
        space = os.statvfs(path)
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - (6 << 20))
        broker.cli("produce", "filler", input=b"x" * 1000 + b"\n", check=False)
        wait_until(lambda: "event=disk_low" in broker.log(), 60, "a log line about the disk")
        refused = broker.cli("produce", "filler", input=b"too much\n", check=False)
        assert refused.returncode == 4 and b"nearly full" in refused.stderr, refused
        # Reading, settling and asking go on.
        assert broker.cli("consume", "filler", "--format", "raw").stdout.startswith(b"first\n")
        assert broker.cli("queue", "receive", "jobs", "--wait", "60 s").stdout.strip() == b"a job"
        ballast.unlink()
        wait_until(lambda: broker.cli("produce", "filler", input=b"again\n", check=False).returncode == 0, 60, "publishes are taken again")
        assert broker.cli("consume", "filler", "--format", "raw").stdout.endswith(b"again\n")
        wait_until(lambda: "event=disk_room_again" in broker.log(), 60, "a log line that there is room again")
        code, _ = broker.terminate()
        assert code == 0


def segment_of(broker, size):
    """The one segment file of at least `size` bytes."""
    return next(path for path in sorted(broker.data.glob("logs/*/*.log")) if path.stat().st_size >= size)


def fill_victim(broker):
    broker.cli("produce", "victim", "--create", input=b"".join(b"%06d %s\n" % (n, b"x" * 990) for n in range(800)))
    broker.cli("produce", "bystander", "--create", input=b"fine\n")
    return segment_of(broker, 700_000)


def check_only_the_victim_is_stopped(broker, event):
    # Whichever way it is read: record by record, or as a stream from its file.
    for arguments in (("--group", "g"), ()):
        broker.cli("consume", "victim", "--from", "earliest", *arguments, "--format", "raw", check=False)
    try:
        wait_until(lambda: re.search(event, broker.log()), 60, "a log line that says so")
    except AssertionError as error:
        raise AssertionError(f"{error}: {broker.log()[-1500:]}")
    assert broker.process.poll() is None, broker.log()[-2000:]
    broker.cli("produce", "bystander", input=b"still fine\n")
    assert broker.cli("consume", "bystander", "--from", "earliest", "--format", "raw").stdout == b"fine\nstill fine\n"


def claim_a_segment_that_is_cut_under_the_broker_stops_that_log_only():
    with Broker() as broker:
        segment = fill_victim(broker)
        # Mapped now, and in the page cache.
        assert broker.cli("consume", "victim", "--from", "earliest", "--format", "raw").stdout.count(b"\n") == 800
        os.truncate(segment, 100_000)
        check_only_the_victim_is_stopped(broker, "event=log_failed .*victim")
        refused = broker.cli("produce", "victim", input=b"more\n", check=False)
        assert refused.returncode != 0 and b"takes no more writes" in refused.stderr, refused
        code, _ = broker.terminate()
        assert code == 0, code


def claim_a_disk_that_cannot_read_stops_that_log_only():
    if os.geteuid() != 0:
        raise Skipped("mounting needs root")
    try:
        disk = SmallDisk(400)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise Skipped(f"no loop device here ({error})")
    with disk as path, Broker(data=path / "data") as broker:
        segment = fill_victim(broker)
        # Away from what the others write: a copy that lies at the end of the disk takes the segment's place while the broker is down.
        broker.terminate()
        ballast = path / "ballast"
        ballast.write_bytes(bytes(60 << 20))
        content = segment.read_bytes()
        segment.unlink()
        segment.write_bytes(content)
        os.sync()
        start = last_block(segment)
        if start is None:
            raise Skipped("filefrag does not tell where a file lies")
        broker.start()
        # Names and places of the files stay known, what is in them goes.
        kept = [open(each, "rb") for each in segment.parent.iterdir()]
        for each in kept:
            each.read()
        os.truncate(disk.image, start)
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("1")
        try:
            segment.read_bytes()
        except OSError:
            # A loop device without its end fails some reads and answers zeros to others.
            check_only_the_victim_is_stopped(broker, "event=log_(failed|unreadable) .*victim")
            return
        finally:
            for each in kept:
                each.close()
        raise Skipped("the loop device reads what is not there")


def last_block(path):
    """Where the file's last extent begins on its disk, in bytes."""
    told = subprocess.run(["filefrag", "-v", str(path)], capture_output=True, text=True).stdout
    size = re.search(r"blocks of (\d+) bytes", told)
    extents = re.findall(r"^\s+\d+:\s+\d+\.\.\s+\d+:\s+(\d+)\.\.", told, re.M)
    return max(map(int, extents)) * int(size.group(1)) if size and extents else None
