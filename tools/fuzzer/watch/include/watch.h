// What one input takes of memory and processor time, told by the sanitizer's allocator.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Begins to count; once.
void watch_install(void);
// Time of the processor, or of the clock on the wall, which is quicker to ask and never less.
void watch_begin(int by_processor);

struct watch_taken {
    // The most live memory at any moment, above what was live at the beginning.
    int64_t peak;
    // What is live at the end and was not at the beginning.
    int64_t left;
    uint64_t nanoseconds;
};
struct watch_taken watch_end(void);
