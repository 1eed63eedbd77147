// A disk that remembers what was written to it, in which order, and what had been flushed when: one file, served over /dev/fuse without
// any library, on which a loop device is meant to sit. What stands above it (a real file system, a real page cache, the broker) does not
// know that it is watched.
//
//     recorder MOUNTPOINT BACKING LOG
//
// MOUNTPOINT/disk is BACKING. MOUNTPOINT/control takes commands, one a line, and when read tells how much was asked for so far.
//
//     mark TEXT                               puts TEXT into the log, between what has ended before and what begins after
//     fail read|write|flush N once|on         the N-th from now on is answered EIO, alone or with all that follow
//     match TEXT                              only writes that contain TEXT count for `fail write`; without TEXT all do
//     delay read|write|flush LEAST MOST       each takes so many microseconds more
//     stall read|write|flush N TIME           the N-th from now on takes so many microseconds more
//     clear                                   no more faults and delays
//     mounted PATH                            is to be unmounted when standard input ends
//
// The log is a sequence of records: kind, size, offset, nanoseconds (4, 4, 8, 8 bytes, of this machine's order), then, for some, content.
//
//     W  a write that took effect, with its bytes        w  one that was answered EIO and had none
//     F  a flush was asked for (offset: its number)      D  that flush was answered; f: it was answered EIO
//     M  a mark, with its text                           r  a read that was answered EIO
//
// Whatever was written before an F whose D is there survives a power cut; of what was written later, any part may.
//
// When standard input ends (whoever started this is done, or dead) it unmounts everything, serves what that still writes, and ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { ROOT = 1, DISK = 2, CONTROL = 3 };
enum { READ, WRITE, FLUSH, KINDS };
enum { MAX_WRITE = 1 << 20, INPUT = MAX_WRITE + 65536, MOUNTS = 8 };

static const char *kind_names[KINDS] = {"read", "write", "flush"};

// What goes wrong with operations of one kind.
struct fault {
    uint64_t seen;
    // The count at which operations begin to fail; 0: never.
    uint64_t fails_at;
    int goes_on;
    uint64_t delay_least, delay_most;
    uint64_t stalls_at, stall;
};

// An operation whose time has not come.
struct pending {
    struct pending *next;
    uint64_t due;
    struct fuse_in_header head;
    int kind, fails;
    uint64_t offset, size, flush;
    char content[];
};

struct entry {
    uint32_t kind, size;
    uint64_t offset, nanoseconds;
};

static int fuse, disk, trace;
static uint64_t disk_size, flushes, failures;
static struct fault faults[KINDS];
static char match[256];
static size_t match_size;
static struct pending *waiting;
static char mounts[MOUNTS][4096];
static int mount_count;
static const char *mountpoint;

static void die(const char *what) {
    fprintf(stderr, "recorder: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void note(char kind, uint64_t offset, const char *content, uint32_t size) {
    struct entry entry = {(uint32_t)kind, content ? size : 0, offset, now()};
    struct iovec parts[] = {{&entry, sizeof entry}, {(void *)content, content ? size : 0}};
    ssize_t whole = (ssize_t)(sizeof entry + entry.size);
    // A log with a gap proves nothing: without room for it there is no disk either.
    if (writev(trace, parts, content ? 2 : 1) != whole) {
        perror("recorder: the log");
        abort();
    }
}

static void reply(uint64_t unique, int error, const void *content, size_t size) {
    struct fuse_out_header head = {(uint32_t)(sizeof head + size), -error, unique};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)content, size}};
    // Whoever asked may be gone.
    if (writev(fuse, parts, size ? 2 : 1) < 0 && errno != ENOENT && errno != ENODEV) perror("recorder: reply");
}

// Operations on the disk

static void answer(struct pending *one) {
    static char room[MAX_WRITE];
    uint64_t unique = one->head.unique;
    if (one->fails) failures++;
    switch (one->kind) {
    case READ: {
        if (one->fails) {
            note('r', one->offset, NULL, 0);
            return reply(unique, EIO, NULL, 0);
        }
        uint64_t size = one->size < sizeof room ? one->size : sizeof room;
        ssize_t got = pread(disk, room, size, (off_t)one->offset);
        if (got < 0) return reply(unique, errno, NULL, 0);
        return reply(unique, 0, room, (size_t)got);
    }
    case WRITE: {
        if (one->fails) {
            note('w', one->offset, NULL, 0);
            return reply(unique, EIO, NULL, 0);
        }
        if (one->offset + one->size > disk_size) return reply(unique, ENOSPC, NULL, 0);
        if (pwrite(disk, one->content, one->size, (off_t)one->offset) != (ssize_t)one->size) die("write to the backing file");
        note('W', one->offset, one->content, (uint32_t)one->size);
        struct fuse_write_out done = {.size = (uint32_t)one->size};
        return reply(unique, 0, &done, sizeof done);
    }
    default:
        note(one->fails ? 'f' : 'D', one->flush, NULL, 0);
        return reply(unique, one->fails ? EIO : 0, NULL, 0);
    }
}

static int contains(const char *content, size_t size) { return match_size == 0 || memmem(content, size, match, match_size) != NULL; }

// Decides what becomes of an operation, and carries it out now or when its time has come.
static void take(int kind, const struct fuse_in_header *head, uint64_t offset, uint64_t size, const char *content) {
    struct fault *fault = &faults[kind];
    struct pending *one = malloc(sizeof *one + (content ? size : 0));
    if (!one) die("memory");
    *one = (struct pending){.head = *head, .kind = kind, .offset = offset, .size = size};
    if (content) memcpy(one->content, content, size);
    if (kind != WRITE || contains(content, size)) {
        fault->seen++;
        one->fails = fault->fails_at && (fault->seen == fault->fails_at || (fault->goes_on && fault->seen > fault->fails_at));
    }
    if (kind == FLUSH) {
        one->flush = ++flushes;
        note('F', one->flush, NULL, 0);
    }
    uint64_t micros = fault->delay_least;
    if (fault->delay_most > fault->delay_least) micros += (uint64_t)random() % (fault->delay_most - fault->delay_least);
    if (fault->stalls_at && fault->seen == fault->stalls_at) micros += fault->stall;
    if (micros == 0) {
        answer(one);
        free(one);
        return;
    }
    one->due = now() + micros * 1000;
    one->next = waiting;
    waiting = one;
}

// Answers what is due; says how many milliseconds there are until the next, -1 where nothing waits.
static int answer_due(void) {
    uint64_t time = now(), next = UINT64_MAX;
    for (struct pending **at = &waiting; *at;) {
        struct pending *one = *at;
        if (one->due <= time) {
            *at = one->next;
            answer(one);
            free(one);
            continue;
        }
        if (one->due < next) next = one->due;
        at = &one->next;
    }
    return next == UINT64_MAX ? -1 : (int)((next - time) / 1000000) + 1;
}

// Commands

static int kind_of(const char *name) {
    for (int kind = 0; kind < KINDS; kind++)
        if (!strcmp(name, kind_names[kind])) return kind;
    return -1;
}

static int command(char *line) {
    char name[16] = "", how[16] = "";
    unsigned long long first = 0, second = 0;
    if (!strncmp(line, "mark ", 5)) {
        note('M', 0, line + 5, (uint32_t)strlen(line + 5));
    } else if (!strncmp(line, "match", 5)) {
        match_size = line[5] ? strlen(line + 6) : 0;
        if (match_size >= sizeof match) return EINVAL;
        memcpy(match, line + 6, match_size);
    } else if (!strcmp(line, "clear")) {
        for (int kind = 0; kind < KINDS; kind++) faults[kind] = (struct fault){.seen = faults[kind].seen};
        for (struct pending *one = waiting; one; one = one->next) one->due = 0;
        match_size = 0;
    } else if (!strncmp(line, "mounted /", 9)) {
        if (mount_count == MOUNTS) return ENOSPC;
        snprintf(mounts[mount_count++], sizeof mounts[0], "%s", line + 8);
    } else if (sscanf(line, "fail %15s %llu %15s", name, &first, how) == 3 && kind_of(name) >= 0 && first) {
        struct fault *fault = &faults[kind_of(name)];
        fault->fails_at = fault->seen + first;
        fault->goes_on = !strcmp(how, "on");
    } else if (sscanf(line, "delay %15s %llu %llu", name, &first, &second) == 3 && kind_of(name) >= 0) {
        faults[kind_of(name)].delay_least = first;
        faults[kind_of(name)].delay_most = second;
    } else if (sscanf(line, "stall %15s %llu %llu", name, &first, &second) == 3 && kind_of(name) >= 0 && first) {
        struct fault *fault = &faults[kind_of(name)];
        fault->stalls_at = fault->seen + first;
        fault->stall = second;
    } else {
        return EINVAL;
    }
    return 0;
}

static int commands(const char *content, size_t size) {
    char *text = strndup(content, size), *rest = text;
    int error = 0;
    for (char *line; !error && (line = strsep(&rest, "\n"));)
        if (*line) error = command(line);
    free(text);
    return error;
}

static void report(uint64_t unique, uint64_t offset) {
    char text[160];
    int size = snprintf(
        text, sizeof text, "reads %llu writes %llu flushes %llu failed %llu\n", (unsigned long long)faults[READ].seen,
        (unsigned long long)faults[WRITE].seen, (unsigned long long)faults[FLUSH].seen, (unsigned long long)failures);
    reply(unique, 0, text, offset ? 0 : (size_t)size);
}

// The file system of three inodes

static struct fuse_attr attributes(uint64_t node) {
    uint64_t size = node == DISK ? disk_size : 0;
    return (struct fuse_attr){
        .ino = node, .size = size, .blocks = size / 512, .nlink = 1, .blksize = 4096, .mode = node == ROOT ? S_IFDIR | 0700 : S_IFREG | 0600};
}

static void look_up(const struct fuse_in_header *head, const char *name) {
    uint64_t node = !strcmp(name, "disk") ? DISK : !strcmp(name, "control") ? CONTROL : 0;
    if (!node) return reply(head->unique, ENOENT, NULL, 0);
    struct fuse_entry_out found = {.nodeid = node, .entry_valid = 3600, .attr_valid = 3600, .attr = attributes(node)};
    reply(head->unique, 0, &found, sizeof found);
}

static void begin(const struct fuse_in_header *head, const struct fuse_init_in *asked) {
    struct fuse_init_out told = {
        .major = FUSE_KERNEL_VERSION, .minor = asked->minor < FUSE_KERNEL_MINOR_VERSION ? asked->minor : FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = asked->max_readahead, .flags = asked->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES), .max_background = 64,
        .congestion_threshold = 48, .max_write = MAX_WRITE, .time_gran = 1, .max_pages = MAX_WRITE / 4096};
    reply(head->unique, 0, &told, sizeof told);
}

static void handle(const char *input, size_t size) {
    const struct fuse_in_header *head = (const void *)input;
    const char *body = input + sizeof *head;
    (void)size;
    switch (head->opcode) {
    case FUSE_INIT: return begin(head, (const void *)body);
    case FUSE_LOOKUP: return look_up(head, body);
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
        struct fuse_attr_out found = {.attr_valid = 3600, .attr = attributes(head->nodeid)};
        return reply(head->unique, 0, &found, sizeof found);
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
        // Past the page cache: every read is to be seen, too.
        struct fuse_open_out opened = {.fh = head->nodeid, .open_flags = head->nodeid == ROOT ? 0 : FOPEN_DIRECT_IO};
        return reply(head->unique, 0, &opened, sizeof opened);
    }
    case FUSE_READ: {
        const struct fuse_read_in *read = (const void *)body;
        if (head->nodeid == CONTROL) return report(head->unique, read->offset);
        return take(READ, head, read->offset, read->size, NULL);
    }
    case FUSE_WRITE: {
        const struct fuse_write_in *write = (const void *)body;
        const char *content = body + sizeof *write;
        if (head->nodeid == DISK) return take(WRITE, head, write->offset, write->size, content);
        int error = commands(content, write->size);
        struct fuse_write_out done = {.size = write->size};
        return reply(head->unique, error, &done, error ? 0 : sizeof done);
    }
    case FUSE_FSYNC:
        if (head->nodeid == DISK) return take(FLUSH, head, 0, 0, NULL);
        return reply(head->unique, 0, NULL, 0);
    case FUSE_STATFS: {
        struct fuse_statfs_out found = {.st = {.blocks = disk_size / 4096, .files = 2, .bsize = 4096, .namelen = 255, .frsize = 4096}};
        return reply(head->unique, 0, &found, sizeof found);
    }
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_ACCESS:
    case FUSE_DESTROY: return reply(head->unique, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return;
    default: return reply(head->unique, ENOSYS, NULL, 0);
    }
}

// By a child, since unmounting asks this process to write.
static void unmount_all(void) {
    if (fork() != 0) return;
    for (int index = mount_count; index-- > 0;) umount2(mounts[index], MNT_DETACH);
    umount2(mountpoint, MNT_DETACH);
    _exit(0);
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "usage: recorder MOUNTPOINT BACKING LOG\n");
        return 2;
    }
    mountpoint = words[1];
    if ((disk = open(words[2], O_RDWR | O_CLOEXEC)) < 0) die(words[2]);
    struct stat found;
    if (fstat(disk, &found) < 0) die(words[2]);
    disk_size = (uint64_t)found.st_size;
    if ((trace = open(words[3], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600)) < 0) die(words[3]);
    if ((fuse = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0) die("/dev/fuse");
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
    if (mount("recorder", mountpoint, "fuse.recorder", MS_NOSUID | MS_NODEV, options) < 0) die("mount");
    // A signal for the test's group is not for the disk below a mounted file system.
    setsid();
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    srandom(1);
    puts("ready");
    fflush(stdout);
    char *input = malloc(INPUT);
    if (!input) die("memory");
    struct pollfd files[] = {{fuse, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    int watched = 2;
    for (;;) {
        if (poll(files, (nfds_t)watched, answer_due()) < 0 && errno != EINTR) die("poll");
        if (watched == 2 && files[1].revents) {
            char ignored[64];
            if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0) {
                watched = 1;
                unmount_all();
            }
        }
        if (!files[0].revents) continue;
        ssize_t got = read(fuse, input, INPUT);
        if (got > 0) {
            handle(input, (size_t)got);
        } else if (errno == ENODEV) {
            return 0;
        } else if (errno != EINTR && errno != EAGAIN && errno != ENOENT) {
            die("read from /dev/fuse");
        }
    }
}
