#include "CGoogleBenchmark.h"
#include <benchmark/benchmark.h>
#include <valgrind/callgrind.h>

// A call into Swift for each iteration would be part of short rows.
static const int64_t batch = 8;

void micro_add(const char *name, int32_t row, int64_t bytes, int64_t items, micro_body body) {
    benchmark::RegisterBenchmark(name, [=](benchmark::State &state) {
        while (state.KeepRunningBatch(batch)) body(row, batch);
        if (bytes > 0) state.SetBytesProcessed(int64_t(state.iterations()) * bytes);
        if (items > 0) state.SetItemsProcessed(int64_t(state.iterations()) * items);
    });
}

int micro_measure(int argc, char **argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

void micro_count(const char *name, int32_t row, int64_t iterations, micro_body body) {
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    body(row, iterations);
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}
