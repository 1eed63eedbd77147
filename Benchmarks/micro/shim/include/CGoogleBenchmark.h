// What Google Benchmark and callgrind do here, for Swift: rows are a name and a function that goes through a number of iterations.
#ifndef CGOOGLEBENCHMARK_H
#define CGOOGLEBENCHMARK_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*micro_body)(int32_t row, int64_t iterations);

/// Adds a row. `bytes` and `items` are what one iteration goes through; 0: no such figure. The name is copied.
void micro_add(const char *name, int32_t row, int64_t bytes, int64_t items, micro_body body);

/// Measures what was added, as Google Benchmark's own options say; 0 when they were understood.
int micro_measure(int argc, char **argv);

/// Has callgrind count the instructions of so many iterations, in a file of their own that begins with the name. Without callgrind: runs them.
void micro_count(const char *name, int32_t row, int64_t iterations, micro_body body);

#ifdef __cplusplus
}
#endif
#endif
