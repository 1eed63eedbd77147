"""A disk that remembers (recorder/recorder.c), a real file system on it, and what the recorded trace says: which writes a power cut
leaves, and the images of disks after one.

Needs root, /dev/fuse and loop devices; `need_a_recorded_disk` says what is missing. Mounts are this process's own (`own_mounts`) and go
with it, however it ends; a loop device goes with its mount, the recorder with its disk."""
import ctypes
import ctypes.util
import errno
import fcntl
import functools
import hashlib
import mmap
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from broker import Skipped

SOURCE = pathlib.Path(__file__).resolve().parent / "recorder" / "recorder.c"
SECTOR = 512
LIBC = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
LOOP_CONFIGURE, LOOP_CTL_GET_FREE, AUTOCLEAR = 0x4C0A, 0x4C82, 4
DETACH, DIE_WITH_PARENT, SIGKILL = 2, 1, 9
NEW_MOUNTS, RECURSIVE, PRIVATE = 0x20000, 1 << 14, 1 << 18
# How file systems are made and mounted: small journals and nothing left to do later, so that traces show the broker.
MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-K"),
}
LEAST = {"ext4": 64, "xfs": 320}
# What a disk writes whole. XFS does not mend a block of its own that is torn within itself (its number says that it is new, and replaying
# the journal leaves it alone): it would be the file system that is tried, not the broker.
WHOLE = {"ext4": SECTOR, "xfs": 4096}
# Images of one file system have one identity, and several are mounted at a time.
MOUNT_OPTIONS = {"ext4": b"", "xfs": b"nouuid"}


def memory_folder():
    """Where images lie: in memory where there is enough of it."""
    shared = pathlib.Path("/dev/shm")
    return shared if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 4 << 30 else pathlib.Path(tempfile.gettempdir())


def folder(name):
    """A folder for this process, which also removes those of processes that were killed."""
    home = memory_folder()
    for left in home.glob("needletail-faults-*-*"):
        if not os.path.exists(f"/proc/{left.name.split('-')[2]}"):
            shutil.rmtree(left, ignore_errors=True)
    return pathlib.Path(tempfile.mkdtemp(prefix=f"needletail-faults-{os.getpid()}-{name}-", dir=home))


@functools.cache
def recorder():
    """The compiled recorder, kept for the next time."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise Skipped("there is no C compiler for the recorder")
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "needletail"
    cache.mkdir(parents=True, exist_ok=True)
    program = cache / f"recorder-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    if not program.exists():
        fresh = program.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-std=gnu11", "-Wall", "-Werror", str(SOURCE), "-o", str(fresh)], check=True)
        fresh.rename(program)
    return program


def need_a_recorded_disk(kind="ext4"):
    """Raises Skipped with what is missing."""
    if os.geteuid() != 0:
        raise Skipped("mounting needs root")
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            raise Skipped(f"there is no {path}")
    if not shutil.which(MAKE[kind][0]):
        raise Skipped(f"there is no {MAKE[kind][0]} ({'xfsprogs' if kind == 'xfs' else 'e2fsprogs'})")
    recorder()


def die_with_parent():
    """For a child before it becomes another program."""
    LIBC.prctl(DIE_WITH_PARENT, SIGKILL)


def own_mounts():
    """What is mounted from here on is seen by this process and its children alone, and unmounted when the last of them ends."""
    checked(LIBC.unshare(NEW_MOUNTS), "unshare")
    checked(LIBC.mount(b"none", b"/", None, RECURSIVE | PRIVATE, None), "make mounts private")
    # Asked to end, it ends as after an error.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))


def make_image(path, kind, mebibytes=None):
    """An empty file system in a sparse file."""
    with open(path, "wb") as file:
        file.truncate(max(mebibytes or 0, LEAST[kind]) << 20)
    subprocess.run([*MAKE[kind], str(path)], check=True, timeout=300, capture_output=True)


def copy_sparse(source, target):
    """A copy without what was never written."""
    with open(source, "rb") as old, open(target, "wb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(old.fileno(), at, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break
                raise
            end = os.lseek(old.fileno(), at, os.SEEK_HOLE)
            while at < end:
                content = os.pread(old.fileno(), min(1 << 20, end - at), at)
                if content.count(0) != len(content):
                    os.pwrite(new.fileno(), content, at)
                at += len(content)


def checked(result, what):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def mount(image, where, kind):
    """Mounts a file through a loop device that goes when it is unmounted."""
    with open(image, "r+b") as backing, open("/dev/loop-control", "r+b", buffering=0) as control:
        for _ in range(1000):
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            path = f"/dev/loop{number}"
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            information = struct.pack("<5Q4I64s64s32s2Q", 0, 0, 0, 0, 0, number, 0, 0, AUTOCLEAR, str(image).encode()[-63:], b"", b"", 0, 0)
            try:
                fcntl.ioctl(device, LOOP_CONFIGURE, struct.pack("<II", backing.fileno(), SECTOR) + information + bytes(64))
                break
            except OSError as error:
                # Somebody else was quicker.
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
                time.sleep(0.01)
        else:
            raise Skipped("no loop device is free")
        try:
            checked(LIBC.mount(path.encode(), str(where).encode(), kind.encode(), 0, MOUNT_OPTIONS[kind]), f"mount {image} as {kind}")
        finally:
            os.close(device)


def unmount(where):
    """Waits for those that are just ending."""
    for _ in range(3000):
        if LIBC.umount2(str(where).encode(), 0) == 0:
            return
        if ctypes.get_errno() != errno.EBUSY:
            break
        time.sleep(0.02)
    code = ctypes.get_errno()
    LIBC.umount2(str(where).encode(), DETACH)
    raise OSError(code, f"unmount {where}: {os.strerror(code)}")


class MountedImage:
    """An image that is mounted for a while."""

    def __init__(self, image, kind):
        self.image, self.kind = image, kind
        self.path = pathlib.Path(f"{image}.mount")

    def __enter__(self):
        self.path.mkdir(exist_ok=True)
        mount(self.image, self.path, self.kind)
        return self.path

    def __exit__(self, *_):
        unmount(self.path)
        self.path.rmdir()


class RecordedDisk:
    """A file system on a recorded disk, mounted at `path`."""

    def __init__(self, home, kind, base):
        self.home, self.kind = pathlib.Path(home), kind
        self.backing, self.trace = self.home / "disk", self.home / "trace"
        self.fuse, self.path = self.home / "fuse", self.home / "mounted"
        self.process, self.control, self.is_mounted = None, None, False
        for each in (self.fuse, self.path):
            each.mkdir(parents=True, exist_ok=True)
        copy_sparse(base, self.backing)

    def __enter__(self):
        self.attach()
        try:
            self.mount()
        except BaseException:
            self.__exit__()
            raise
        return self

    def attach(self):
        """The disk alone, nothing mounted from it."""
        self.process = subprocess.Popen([recorder(), self.fuse, self.backing, self.trace], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n", "the recorder did not start"
        self.control = os.open(self.fuse / "control", os.O_RDWR | os.O_CLOEXEC)

    def mount(self):
        mount(self.fuse / "disk", self.path, self.kind)
        if not self.is_mounted:
            self.tell(f"mounted {self.path}")
        self.is_mounted = True

    def unmount(self):
        unmount(self.path)
        self.is_mounted = False

    def __exit__(self, *_):
        """Unmounts as the recorder would if this process had died, and waits for it."""
        if self.control is not None:
            self.tell("clear")
            os.close(self.control)
            self.control = None
        if self.is_mounted:
            self.is_mounted = False
            try:
                unmount(self.path)
            except OSError:
                # A file system that has given up may say so; the recorder detaches it.
                pass
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(180) == 0, f"the recorder ended with {self.process.returncode}"

    def tell(self, *commands):
        content = "".join(f"{each}\n" for each in commands).encode()
        assert os.write(self.control, content) == len(content)

    def mark(self, text):
        self.tell(f"mark {text}")

    def counts(self):
        """How many operations there were: reads, writes, flushes, and those answered EIO."""
        words = os.pread(self.control, 200, 0).split()
        return {name.decode(): int(count) for name, count in zip(words[::2], words[1::2])}

    def is_alive(self):
        """Whether the file system still takes and keeps something."""
        path = self.path / "probe"
        try:
            with open(path, "wb") as file:
                file.write(b"probe")
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            return True
        except OSError:
            return False


class Event:
    __slots__ = ("kind", "offset", "time", "start", "size")

    def __init__(self, kind, offset, time_, start, size):
        self.kind, self.offset, self.time, self.start, self.size = kind, offset, time_, start, size


class Trace:
    """What the recorder has written down. `events[n].start` is where the content of the n-th lies in `content`."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.events = []
        at = 0
        while at + 24 <= len(self.content):
            kind, size, offset, nanoseconds = struct.unpack_from("<IIQQ", self.content, at)
            self.events.append(Event(chr(kind), offset, nanoseconds, at + 24, size))
            at += 24 + size

    def bytes(self, event):
        return self.content[event.start : event.start + event.size]

    def marks(self, before=None):
        """The texts of marks, with the place of each."""
        return [(place, self.bytes(event).decode()) for place, event in enumerate(self.events[:before]) if event.kind == "M"]

    def count(self, kind):
        return sum(event.kind == kind for event in self.events)

    def durable_at(self):
        """For each place in the trace: events before which place a power cut there leaves for certain."""
        durable, begun, places = 0, {}, []
        for place, event in enumerate(self.events):
            places.append(durable)
            if event.kind == "F":
                begun[event.offset] = place
            elif event.kind == "D":
                durable = max(durable, begun[event.offset])
        places.append(durable)
        return places


class PowerCuts:
    """Makes images of what a power cut leaves: everything that was flushed, and of what was written later any part, by sectors.
    Cuts are asked for in the order of the trace; what is certain is written once."""

    def __init__(self, trace, base, home, kind):
        self.whole = WHOLE[kind]
        self.trace, self.durable = trace, trace.durable_at()
        self.certain = pathlib.Path(home) / f"certain-{os.getpid()}"
        copy_sparse(base, self.certain)
        self.file = open(self.certain, "r+b", buffering=0)
        self.written = 0

    def image(self, cut, chance, target):
        """Writes the image of a cut before the event at place `cut`; answers how many writes and sectors of them were uncertain."""
        assert self.durable[cut] >= self.written, "cuts are asked for in order"
        for event in self.trace.events[self.written : self.durable[cut]]:
            if event.kind == "W":
                os.pwrite(self.file.fileno(), self.trace.bytes(event), event.offset)
        self.written = self.durable[cut]
        copy_sparse(self.certain, target)
        uncertain = [event for event in self.trace.events[self.written : cut] if event.kind == "W"]
        # How a cut looks like differs: almost everything arrived, almost nothing, whole writes only, their order kept or not.
        style = chance.choice(("sectors", "sectors", "writes", "prefix", "none", "all"))
        share = chance.choice((0.05, 0.3, 0.5, 0.7, 0.95))
        if style == "prefix":
            uncertain = uncertain[: chance.randrange(len(uncertain) + 1)]
        with open(target, "r+b", buffering=0) as file:
            for number, event in enumerate(uncertain):
                content = self.trace.bytes(event)
                is_torn = style == "sectors" or (style == "prefix" and number == len(uncertain) - 1)
                if style == "none" or (style == "writes" and chance.random() > share):
                    continue
                if not is_torn:
                    os.pwrite(file.fileno(), content, event.offset)
                    continue
                for start in range(0, len(content), self.whole):
                    if chance.random() < share:
                        os.pwrite(file.fileno(), content[start : start + self.whole], event.offset + start)
        return len(uncertain)

    def close(self):
        self.file.close()
        self.certain.unlink()


def choose_cuts(trace, count, chance, first=0):
    """Places of a trace at which power goes, most of them where something was just written, acknowledged or flushed."""
    places = [place for place, event in enumerate(trace.events) if place >= first and event.kind in "WFDM"]
    sharp = [place + 1 for place in places if trace.events[place].kind in "DM"] + [place for place in places if trace.events[place].kind == "D"]
    chosen = [chance.choice(sharp if sharp and chance.random() < 0.5 else places) for _ in range(count)]
    return sorted(chosen)


def chance_of(*what):
    return random.Random(repr(what))
