#include "watch.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Only there under the address sanitizer; without it memory is not counted.
__attribute__((weak)) int __sanitizer_install_malloc_and_free_hooks(
    void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));
__attribute__((weak)) size_t __sanitizer_get_allocated_size(const volatile void *);

// Everything happens on one thread.
static int64_t live, peak;
static int is_counting;
static uint64_t began;
static clockid_t clock_asked;

static void on_malloc(const volatile void *memory, size_t size) {
    (void)memory;
    if (!is_counting) return;
    live += (int64_t)size;
    if (live > peak) peak = live;
}

static void on_free(const volatile void *memory) {
    if (is_counting && memory) live -= (int64_t)__sanitizer_get_allocated_size(memory);
}

static uint64_t asked_time(void) {
    struct timespec now;
    clock_gettime(clock_asked, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void watch_install(void) {
    if (__sanitizer_install_malloc_and_free_hooks && __sanitizer_get_allocated_size) __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
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
