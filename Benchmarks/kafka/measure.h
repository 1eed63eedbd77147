// What the load program measures with: a histogram, a verifier of sequences, and what the system says of a process.
#pragma once
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void sleep_until(uint64_t due) {
    struct timespec t = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0) {}
}

// Nanoseconds in cells at most 1/64 of their value wide (after Gil Tene's HdrHistogram): 64 cells, then 64 for each further power of two.
typedef struct {
    uint64_t cells[2496];
    uint64_t count;
    uint64_t greatest;
} histogram;

static inline void record(histogram *h, uint64_t ns) {
    if (ns > h->greatest) h->greatest = ns;
    if (ns >= 1ull << 44) ns = (1ull << 44) - 1;
    int cell = (int)ns;
    if (ns >= 64) {
        int shift = 57 - __builtin_clzll(ns);
        cell = shift * 64 + (int)(ns >> shift);
    }
    h->cells[cell]++;
    h->count++;
}

// The time that a fraction of all did not exceed.
static inline double quantile_us(const histogram *h, double fraction) {
    uint64_t rank = (uint64_t)(fraction * (double)h->count + 0.999999), seen = 0;
    if (rank == 0) rank = 1;
    for (int cell = 0; cell < 2496 && h->count > 0; cell++) {
        seen += h->cells[cell];
        if (seen < rank) continue;
        uint64_t bound = cell < 128 ? (uint64_t)cell : ((uint64_t)(cell % 64 + 65) << (cell / 64 - 1)) - 1;
        return (double)(bound < h->greatest ? bound : h->greatest) / 1000;
    }
    return 0;
}

static inline void merge(histogram *into, const histogram *h) {
    for (int cell = 0; cell < 2496; cell++) into->cells[cell] += h->cells[cell];
    into->count += h->count;
    if (h->greatest > into->greatest) into->greatest = h->greatest;
}

// Every sequence exactly once and in order, or else counted. One bit for each.
typedef struct {
    uint64_t *bits;
    uint64_t words, next, received, duplicated, out_of_order, alien;
} verifier;

static inline void see(verifier *v, uint64_t sequence) {
    if (sequence >= 1ull << 36) {
        v->alien++;
        return;
    }
    uint64_t word = sequence >> 6, bit = 1ull << (sequence & 63);
    if (word >= v->words) {
        uint64_t words = word + (1 << 17);
        v->bits = realloc(v->bits, words * 8);
        if (!v->bits) abort();
        memset(v->bits + v->words, 0, (words - v->words) * 8);
        v->words = words;
    }
    if (v->bits[word] & bit) {
        v->duplicated++;
        return;
    }
    v->bits[word] |= bit;
    v->received++;
    if (sequence < v->next) v->out_of_order++;
    else v->next = sequence + 1;
}

// What every message begins with; the rest is filler.
typedef struct {
    uint64_t sequence;
    uint64_t intended;  // monotonic ns
} head;

// User and system time of all threads of a process, in seconds, to 10 ms; of one thread when `task` is not 0. Negative: unknown.
static inline double cpu_seconds(long process, long task) {
    char path[64], text[1024];
    if (task) snprintf(path, sizeof path, "/proc/%ld/task/%ld/stat", process, task);
    else snprintf(path, sizeof path, "/proc/%ld/stat", process);
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    size_t count = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[count] = 0;
    char *end = strrchr(text, ')');
    unsigned long user = 0, system = 0;
    if (!end || sscanf(end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) return -1;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

// A line of /proc/PID/status in MB; 0: unknown.
static inline double memory_mb(long process, const char *field) {
    char path[64], line[256];
    double found = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", process);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, field, strlen(field)) == 0) found = strtod(line + strlen(field) + 1, NULL) * 1024 / 1e6;
    fclose(file);
    return found;
}
