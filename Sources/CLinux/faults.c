#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

// A page of a mapped file that cannot be read (an error of the disk, a file that was cut) raises SIGBUS. Where the address lies in
// a region that is watched, the page becomes zeros and the region is marked; who reads looks at the mark afterwards. Everywhere else
// the signal does what it always did.
//
// The handler runs on the faulting thread and only loads atomics and calls mmap. A region cannot go while it faults: the thread that
// reads holds it.

enum { CHUNK = 1024, CHUNKS = 64 };

struct region {
    _Atomic(uintptr_t) base;
    _Atomic(size_t) length;
    _Atomic(int) failed;
    int next_free;
};

static _Atomic(struct region *) chunks[CHUNKS];
static _Atomic(int) used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int first_free = -1;
static uintptr_t page;

static struct region *find(int index) {
    struct region *chunk = atomic_load_explicit(&chunks[index / CHUNK], memory_order_acquire);
    return chunk + index % CHUNK;
}

static void fault(int number, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    uintptr_t address = (uintptr_t)info->si_addr;
    int count = atomic_load_explicit(&used, memory_order_acquire);
    // Not when another process only sent the signal.
    for (int index = 0; info->si_code > 0 && index < count; index++) {
        struct region *region = find(index);
        uintptr_t base = atomic_load_explicit(&region->base, memory_order_acquire);
        if (!base || address - base >= atomic_load_explicit(&region->length, memory_order_relaxed)) continue;
        void *start = (void *)(address & ~(page - 1));
        if (mmap(start, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) break;
        atomic_store_explicit(&region->failed, 1, memory_order_release);
        errno = saved;
        return;
    }
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigaction(number, &plain, NULL);
    if (info->si_code <= 0) kill(getpid(), number);
    errno = saved;
}

static int install(void) {
    if (page) return 0;
    page = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

static int grow(void) {
    int index = atomic_load(&used);
    if (index == CHUNK * CHUNKS) return -ENOMEM;
    if (index % CHUNK == 0) {
        void *chunk = mmap(NULL, CHUNK * sizeof(struct region), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (chunk == MAP_FAILED) return -errno;
        atomic_store_explicit(&chunks[index / CHUNK], chunk, memory_order_release);
    }
    atomic_store_explicit(&used, index + 1, memory_order_release);
    return index;
}

int sys_watch_add(int64_t address, size_t length) {
    pthread_mutex_lock(&lock);
    int index = install();
    if (index == 0) {
        index = first_free;
        if (index >= 0) first_free = find(index)->next_free;
        else index = grow();
    }
    if (index >= 0) {
        struct region *region = find(index);
        atomic_store_explicit(&region->failed, 0, memory_order_relaxed);
        atomic_store_explicit(&region->length, length, memory_order_relaxed);
        atomic_store_explicit(&region->base, (uintptr_t)address, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return index;
}

void sys_watch_remove(int index) {
    pthread_mutex_lock(&lock);
    struct region *region = find(index);
    atomic_store_explicit(&region->base, 0, memory_order_release);
    region->next_free = first_free;
    first_free = index;
    pthread_mutex_unlock(&lock);
}

int sys_watch_failed(int index) { return atomic_load_explicit(&find(index)->failed, memory_order_acquire); }

void sys_touch(int64_t address, size_t length) {
    uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)address, end = at + length;
    while (at < end) {
        (void)*(volatile const char *)at;
        at = (at & ~(size - 1)) + size;
    }
}
