// What one input takes of memory and processor time, told by the allocator (the sanitizer's, or glibc's); memory that ends where nothing may be
// read; and what code was reached.
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

// The end of `size` bytes of memory, behind which every access traps. Never given back.
void *watch_room_end(size_t size);

// Forgets which code was reached so far, as libFuzzer does before each of its inputs.
void watch_forget_reached(void);
// Looks for code that was reached since then and never noted; notes it where asked to, or seeks it: 1 when there is any.
int watch_seek_new(int notes);
// Forgets that what is sought was reached; whether some of it was reached since, which is noted and sought no more; whether anything is left.
void watch_forget_sought(void);
int watch_found_sought(void);
int watch_seeks(void);
// Notes what is still sought: it is sought no more.
void watch_give_up(void);
// Neighbours are being tried: what is compared meanwhile is of no interest.
void watch_near(int begins);
