#include "watch.h"
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
