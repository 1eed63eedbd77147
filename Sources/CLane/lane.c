#define _GNU_SOURCE
#include "CLane.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const uint64_t magic = 0x0A1A454E414C544EULL;  // NTLANE, an end-of-file of old, and a line end

enum { AT_MAGIC = 0, AT_VERSION = 8, AT_TO_SERVER = 16, AT_TO_CLIENT = 24 };
enum { AT_SERVER_TAIL = 128, AT_SERVER_HEAD = 256, AT_CLIENT_TAIL = 384, AT_CLIENT_HEAD = 512, AT_SERVER_SLEEPS = 640, AT_CLIENT_SLEEPS = 768 };

static _Atomic uint64_t *counter(const struct lane *lane, int place) { return (_Atomic uint64_t *)(lane->page + place); }
static _Atomic uint32_t *word(const struct lane *lane, int place) { return (_Atomic uint32_t *)(lane->page + place); }

static _Atomic uint64_t *in_tail(const struct lane *lane) { return counter(lane, lane->is_server ? AT_SERVER_TAIL : AT_CLIENT_TAIL); }
static _Atomic uint64_t *in_head(const struct lane *lane) { return counter(lane, lane->is_server ? AT_SERVER_HEAD : AT_CLIENT_HEAD); }
static _Atomic uint64_t *out_tail(const struct lane *lane) { return counter(lane, lane->is_server ? AT_CLIENT_TAIL : AT_SERVER_TAIL); }
static _Atomic uint64_t *out_head(const struct lane *lane) { return counter(lane, lane->is_server ? AT_CLIENT_HEAD : AT_SERVER_HEAD); }

static int is_ring(uint64_t bytes) { return bytes >= LANE_LEAST_RING && bytes <= LANE_LARGEST_RING && (bytes & (bytes - 1)) == 0; }

// The same bytes twice, one mapping behind the other.
static unsigned char *map_ring(int descriptor, uint64_t at, uint64_t bytes) {
    unsigned char *room = mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) return NULL;
    for (int half = 0; half < 2; half++)
        if (mmap(room + half * bytes, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, descriptor, (off_t)at) == MAP_FAILED) {
            munmap(room, 2 * bytes);
            return NULL;
        }
    return room;
}

static int map_rings(struct lane *lane, int descriptor, uint64_t to_server, uint64_t to_client) {
    unsigned char *first = map_ring(descriptor, LANE_PAGE, to_server);
    unsigned char *second = first ? map_ring(descriptor, LANE_PAGE + to_server, to_client) : NULL;
    if (!second) {
        if (first) munmap(first, 2 * to_server);
        return -ENOMEM;
    }
    lane->in = lane->is_server ? first : second;
    lane->out = lane->is_server ? second : first;
    lane->in_bytes = lane->is_server ? to_server : to_client;
    lane->out_bytes = lane->is_server ? to_client : to_server;
    return 0;
}

int lane_create(struct lane *lane, uint64_t to_server, uint64_t to_client) {
    if (!is_ring(to_server) || !is_ring(to_client)) return -EINVAL;
    memset(lane, 0, sizeof *lane);
    lane->is_server = 1;
    int descriptor = memfd_create("needletail-lane", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -errno;
    int error = 0;
    // Sealed: neither side can take the memory away below the other's mapping.
    if (ftruncate(descriptor, (off_t)(LANE_PAGE + to_server + to_client)) || fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) error = -errno;
    if (!error) {
        lane->page = mmap(NULL, LANE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, 0);
        if (lane->page == MAP_FAILED) error = -errno;
    }
    if (!error) {
        memcpy(lane->page + AT_MAGIC, &magic, 8);
        uint32_t version = LANE_VERSION;
        memcpy(lane->page + AT_VERSION, &version, 4);
        memcpy(lane->page + AT_TO_SERVER, &to_server, 8);
        memcpy(lane->page + AT_TO_CLIENT, &to_client, 8);
        error = map_rings(lane, descriptor, to_server, to_client);
        if (error) munmap(lane->page, LANE_PAGE);
    }
    if (!error) return descriptor;
    close(descriptor);
    return error;
}

int lane_attach(struct lane *lane, int descriptor) {
    memset(lane, 0, sizeof *lane);
    struct stat status;
    if (fstat(descriptor, &status)) return -errno;
    if (status.st_size < LANE_PAGE) return -EPROTO;
    lane->page = mmap(NULL, LANE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    if (lane->page == MAP_FAILED) return -errno;
    uint64_t found = 0, to_server = 0, to_client = 0;
    uint32_t version = 0;
    memcpy(&found, lane->page + AT_MAGIC, 8);
    memcpy(&version, lane->page + AT_VERSION, 4);
    memcpy(&to_server, lane->page + AT_TO_SERVER, 8);
    memcpy(&to_client, lane->page + AT_TO_CLIENT, 8);
    int error = -EPROTO;
    if (found == magic && version == LANE_VERSION && is_ring(to_server) && is_ring(to_client) &&
        (uint64_t)status.st_size == LANE_PAGE + to_server + to_client)
        error = map_rings(lane, descriptor, to_server, to_client);
    if (error) munmap(lane->page, LANE_PAGE);
    return error;
}

void lane_unmap(struct lane *lane) {
    if (!lane->page) return;
    munmap(lane->in, 2 * lane->in_bytes);
    munmap(lane->out, 2 * lane->out_bytes);
    munmap(lane->page, LANE_PAGE);
    memset(lane, 0, sizeof *lane);
}

int64_t lane_readable(struct lane *lane) {
    uint64_t tail = atomic_load_explicit(in_tail(lane), memory_order_acquire);
    // Never back, and never further than there is room.
    if (tail - lane->in_tail_seen > lane->in_bytes - (lane->in_tail_seen - lane->in_head)) return -EPROTO;
    lane->in_tail_seen = tail;
    return (int64_t)(tail - lane->in_head);
}

int64_t lane_read(struct lane *lane, void *bytes, size_t count) {
    if (lane->in_tail_seen == lane->in_head) {
        int64_t there = lane_readable(lane);
        if (there <= 0) return there;
    }
    uint64_t there = lane->in_tail_seen - lane->in_head;
    if (count > there) count = there;
    memcpy(bytes, lane->in + (lane->in_head & (lane->in_bytes - 1)), count);
    lane->in_head += count;
    atomic_store_explicit(in_head(lane), lane->in_head, memory_order_release);
    return (int64_t)count;
}

// The room as far as this side has seen it, or as it is now when less than `wanted` was seen.
static int64_t room(struct lane *lane, uint64_t wanted) {
    uint64_t room = lane->out_bytes - (lane->out_tail - lane->out_head_seen);
    if (room >= wanted) return (int64_t)room;
    uint64_t head = atomic_load_explicit(out_head(lane), memory_order_acquire);
    // Never back, and never further than was written.
    if (head - lane->out_head_seen > lane->out_tail - lane->out_head_seen) return -EPROTO;
    lane->out_head_seen = head;
    return (int64_t)(lane->out_bytes - (lane->out_tail - head));
}

int64_t lane_write(struct lane *lane, const void *bytes, size_t count) {
    int64_t there = room(lane, count);
    if (there < 0) return there;
    if (count > (uint64_t)there) count = (size_t)there;
    memcpy(lane->out + (lane->out_tail & (lane->out_bytes - 1)), bytes, count);
    lane->out_tail += count;
    return (int64_t)count;
}

int64_t lane_writable(struct lane *lane) { return room(lane, lane->out_bytes); }

void lane_show(struct lane *lane) { atomic_store_explicit(out_tail(lane), lane->out_tail, memory_order_release); }

int lane_server_sleeps(struct lane *lane, int until) {
    // Said first, looked once more afterwards: the client does it the other way round.
    atomic_store_explicit(word(lane, AT_SERVER_SLEEPS), (uint32_t)until, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    return ((until & LANE_INPUT) && lane_readable(lane) != 0) || ((until & LANE_ROOM) && room(lane, lane->out_bytes) != 0);
}

void lane_server_wakes(struct lane *lane) { atomic_store_explicit(word(lane, AT_SERVER_SLEEPS), 0, memory_order_relaxed); }

int lane_must_knock(struct lane *lane, int brought) {
    atomic_thread_fence(memory_order_seq_cst);
    if ((atomic_load_explicit(word(lane, AT_SERVER_SLEEPS), memory_order_relaxed) & (uint32_t)brought) == 0) return 0;
    return atomic_exchange_explicit(word(lane, AT_SERVER_SLEEPS), 0, memory_order_acq_rel) != 0;
}

static void wake(struct lane *lane) { syscall(SYS_futex, word(lane, AT_CLIENT_SLEEPS), FUTEX_WAKE, 1, NULL, NULL, 0); }

void lane_wake_client(struct lane *lane, int brought) {
    atomic_thread_fence(memory_order_seq_cst);
    if ((atomic_load_explicit(word(lane, AT_CLIENT_SLEEPS), memory_order_relaxed) & (uint32_t)brought) == 0) return;
    atomic_store_explicit(word(lane, AT_CLIENT_SLEEPS), 0, memory_order_release);
    wake(lane);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int has_work(struct lane *lane, int wants_room) {
    int64_t there = lane_readable(lane);
    if (there != 0) return there < 0 ? -EPROTO : 1;
    if (!wants_room) return 0;
    // Both from the page: another thread may be the one who writes. Room for a little is not worth waking for.
    uint64_t written = atomic_load_explicit(out_tail(lane), memory_order_relaxed) - atomic_load_explicit(out_head(lane), memory_order_acquire);
    return written > lane->out_bytes ? -EPROTO : lane->out_bytes - written >= lane->out_bytes / 4;
}

int lane_client_waits(struct lane *lane, int wants_room, uint64_t spin_ns, uint64_t sleep_ns) {
    int found = has_work(lane, wants_room);
    if (found || (!spin_ns && !sleep_ns)) return found;
    if (spin_ns) {
        uint64_t end = now() + spin_ns;
        do {
            for (int look = 0; look < 64; look++) {
                if ((found = has_work(lane, wants_room))) return found;
#if defined(__x86_64__)
                __builtin_ia32_pause();
#endif
            }
        } while (now() < end);
    }
    if (!sleep_ns) return 0;
    const uint32_t need = wants_room ? LANE_INPUT | LANE_ROOM : LANE_INPUT;
    uint64_t rest = sleep_ns, end = now() + sleep_ns;
    for (;;) {
        atomic_store_explicit(word(lane, AT_CLIENT_SLEEPS), need, memory_order_seq_cst);
        atomic_thread_fence(memory_order_seq_cst);
        if ((found = has_work(lane, wants_room)) || __atomic_exchange_n(&lane->is_interrupted, 0, __ATOMIC_SEQ_CST)) break;
        struct timespec time = {(time_t)(rest / 1000000000u), (long)(rest % 1000000000u)};
        syscall(SYS_futex, word(lane, AT_CLIENT_SLEEPS), FUTEX_WAIT, need, &time, NULL, 0);
        // Woken for too little, by a signal, or by an interruption: looked at again.
        uint64_t at = now();
        if (at >= end) {
            found = has_work(lane, wants_room);
            break;
        }
        rest = end - at;
    }
    atomic_store_explicit(word(lane, AT_CLIENT_SLEEPS), 0, memory_order_relaxed);
    return found;
}

void lane_interrupt_client(struct lane *lane) {
    __atomic_store_n(&lane->is_interrupted, 1, __ATOMIC_SEQ_CST);
    atomic_store_explicit(word(lane, AT_CLIENT_SLEEPS), 0, memory_order_release);
    wake(lane);
}
