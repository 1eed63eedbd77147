#define _GNU_SOURCE
#include "watch.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#endif
#endif

// Everything happens on one thread.
static int64_t live, peak;
static int is_counting;
static uint64_t began;
static clockid_t clock_asked;

static inline void more(size_t size) {
    live += (int64_t)size;
    if (live > peak) peak = live;
}

#if HAS_ADDRESS_SANITIZER
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *);

static void on_malloc(const volatile void *memory, size_t size) {
    (void)memory;
    if (is_counting) more(size);
}

static void on_free(const volatile void *memory) {
    if (is_counting && memory) live -= (int64_t)__sanitizer_get_allocated_size(memory);
}

void watch_install(void) { __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free); }
#else
// glibc's own allocator, counted: it lets a program bring its own functions of these names, for all libraries, and keeps the originals under
// others. What a piece of memory counts for is what may be used of it, which is a little more than was asked for.
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static inline void *counted(void *memory) {
    if (is_counting && memory) more(malloc_usable_size(memory));
    return memory;
}

void *malloc(size_t size) { return counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size)); }
void *memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
    return (*memory = counted(__libc_memalign(alignment, size))) ? 0 : ENOMEM;
}

void *realloc(void *memory, size_t size) {
    if (is_counting && memory) live -= (int64_t)malloc_usable_size(memory);
    void *moved = __libc_realloc(memory, size);
    if (moved) return counted(moved);
    if (memory && size) counted(memory);
    return NULL;
}

void free(void *memory) {
    if (is_counting && memory) live -= (int64_t)malloc_usable_size(memory);
    __libc_free(memory);
}

// Large pieces come from the heap like all others, which keeps what it has: asking the kernel for each, and touching its pages for the first
// time, takes longer than most decoders.
void watch_install(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}
#endif

static uint64_t asked_time(void) {
    struct timespec now;
    clock_gettime(clock_asked, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void watch_begin(int by_processor) {
    live = peak = 0;
    clock_asked = by_processor ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    began = asked_time();
    is_counting = 1;
}

struct watch_taken watch_end(void) {
    is_counting = 0;
    struct watch_taken taken = {peak, live, asked_time() - began};
    return taken;
}

// What may not be read begins where the room ends.
void *watch_room_end(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page - 1) / page * page;
    char *start = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + room, page, PROT_NONE) != 0) return NULL;
    return start + room;
}

// One counter for each edge of the code, made by the compiler; the linker knows where they lie.
__attribute__((weak)) extern uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];
static uint8_t *noted;
enum { SOUGHT_MAX = 4096 };
static size_t sought[SOUGHT_MAX], sought_count;

void watch_forget_reached(void) {
    if (__start___sancov_cntrs) memset(__start___sancov_cntrs, 0, (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs));
}

int watch_seek_new(int notes) {
    sought_count = 0;
    if (!__start___sancov_cntrs) return 0;
    size_t count = (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
    if (!noted && !(noted = calloc(count, 1))) return 0;
    for (size_t at = 0; at < count && sought_count < SOUGHT_MAX; at++) {
        if (at % 8 == 0 && at + 8 <= count) {
            uint64_t eight;
            memcpy(&eight, __start___sancov_cntrs + at, 8);
            if (!eight) {
                at += 7;
                continue;
            }
        }
        if (!__start___sancov_cntrs[at] || noted[at]) continue;
        if (notes) noted[at] = 1;
        else sought[sought_count++] = at;
    }
    return sought_count != 0;
}

void watch_forget_sought(void) {
    for (size_t index = 0; index < sought_count; index++) __start___sancov_cntrs[sought[index]] = 0;
}

int watch_found_sought(void) {
    int found = 0;
    for (size_t index = 0; index < sought_count;) {
        if (!__start___sancov_cntrs[sought[index]]) {
            index++;
            continue;
        }
        found = 1;
        noted[sought[index]] = 1;
        sought[index] = sought[--sought_count];
    }
    return found;
}

void watch_give_up(void) {
    for (size_t index = 0; index < sought_count; index++) noted[sought[index]] = 1;
    sought_count = 0;
}

int watch_seeks(void) { return sought_count != 0; }

// Comparisons in the code call libFuzzer, which learns from them what to put into inputs: of the neighbours' it learns nothing, and they
// would take two fifths of the time. The linker leads the calls here (Package.swift); a call at the end keeps the caller's address.
static int is_near;

void watch_near(int begins) { is_near = begins; }

#define LEARNS_UNLESS_NEAR(name, type)                                                                  \
    void __real___sanitizer_cov_trace_##name(type, type);                                               \
    __attribute__((no_sanitize("address", "coverage"))) void __wrap___sanitizer_cov_trace_##name(type a, type b) { \
        if (__builtin_expect(is_near, 1)) return;                                                       \
        __attribute__((musttail)) return __real___sanitizer_cov_trace_##name(a, b);                     \
    }
LEARNS_UNLESS_NEAR(cmp1, uint8_t)
LEARNS_UNLESS_NEAR(cmp2, uint16_t)
LEARNS_UNLESS_NEAR(cmp4, uint32_t)
LEARNS_UNLESS_NEAR(cmp8, uint64_t)
LEARNS_UNLESS_NEAR(const_cmp1, uint8_t)
LEARNS_UNLESS_NEAR(const_cmp2, uint16_t)
LEARNS_UNLESS_NEAR(const_cmp4, uint32_t)
LEARNS_UNLESS_NEAR(const_cmp8, uint64_t)
