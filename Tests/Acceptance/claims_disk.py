"""A disk that fills up: publishers are told, everybody else goes on, and it ends by itself when there is room again."""
import os
import pathlib
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
        wait_until(lambda: "event=disk_low" in broker.log(), 20, "a log line about the disk")
        refused = broker.cli("produce", "filler", input=b"too much\n", check=False)
        assert refused.returncode == 4 and b"nearly full" in refused.stderr, refused
        # Reading, settling and asking go on.
        assert broker.cli("consume", "filler", "--format", "raw").stdout.startswith(b"first\n")
        assert broker.cli("queue", "receive", "jobs").stdout.strip() == b"a job"
        ballast.unlink()
        broker.cli("produce", "filler", input=b"again\n")
        assert broker.cli("consume", "filler", "--format", "raw").stdout.endswith(b"again\n")
        wait_until(lambda: "event=disk_room_again" in broker.log(), 20, "a log line that there is room again")
        code, _ = broker.terminate()
        assert code == 0
