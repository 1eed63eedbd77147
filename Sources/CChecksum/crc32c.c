// CRC-32C by the processor's own instruction where there is one: three interleaved streams for long runs, because the
// instruction has a latency of three cycles and a throughput of one. Streams are joined by multiplying in GF(2) with
// precomputed "append N zero bytes" tables.
#include "CChecksum.h"
#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define POLY 0x82f63b78u
enum { LONG_BLOCK = 4096, SHORT_BLOCK = 256 };

static uint32_t table[8][256];
static uint32_t zeros_long[4][256];
static uint32_t zeros_short[4][256];
static int hardware;

static uint32_t times_matrix(const uint32_t *matrix, uint32_t vector) {
    uint32_t sum = 0;
    for (; vector; vector >>= 1, matrix++)
        if (vector & 1) sum ^= *matrix;
    return sum;
}

static void square_matrix(uint32_t *square, const uint32_t *matrix) {
    for (int n = 0; n < 32; n++) square[n] = times_matrix(matrix, matrix[n]);
}

/// Fills `zeros` so that shifting a CRC over `length` zero bytes (a power of two) is four look-ups.
static void make_zeros(uint32_t zeros[4][256], size_t length) {
    uint32_t odd[32], even[32];
    odd[0] = POLY;
    for (int n = 1; n < 32; n++) odd[n] = 1u << (n - 1);
    square_matrix(even, odd);  // two bits
    square_matrix(odd, even);  // four bits
    uint32_t *now = odd, *next = even;
    for (; length; length >>= 1) {  // one, two, four … bytes
        square_matrix(next, now);
        uint32_t *swap = now;
        now = next;
        next = swap;
    }
    for (uint32_t n = 0; n < 256; n++)
        for (int k = 0; k < 4; k++) zeros[k][n] = times_matrix(now, n << (8 * k));
}

static uint32_t shift(uint32_t zeros[4][256], uint32_t crc) {
    return zeros[0][crc & 0xff] ^ zeros[1][(crc >> 8) & 0xff] ^ zeros[2][(crc >> 16) & 0xff] ^ zeros[3][crc >> 24];
}

__attribute__((constructor)) static void prepare(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t crc = n;
        for (int k = 0; k < 8; k++) crc = crc & 1 ? (crc >> 1) ^ POLY : crc >> 1;
        table[0][n] = crc;
    }
    for (uint32_t n = 0; n < 256; n++)
        for (int k = 1; k < 8; k++) table[k][n] = table[0][table[k - 1][n] & 0xff] ^ (table[k - 1][n] >> 8);
    make_zeros(zeros_long, LONG_BLOCK);
    make_zeros(zeros_short, SHORT_BLOCK);
#if defined(__x86_64__)
    hardware = __builtin_cpu_supports("sse4.2");
#elif defined(__aarch64__)
    hardware = (getauxval(AT_HWCAP) & (1 << 7)) != 0;  // HWCAP_CRC32
#endif
}

uint32_t needletail_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *next = bytes;
    crc = ~crc;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        word ^= crc;
        crc = table[7][word & 0xff] ^ table[6][(word >> 8) & 0xff] ^ table[5][(word >> 16) & 0xff] ^ table[4][(word >> 24) & 0xff]
            ^ table[3][(word >> 32) & 0xff] ^ table[2][(word >> 40) & 0xff] ^ table[1][(word >> 48) & 0xff] ^ table[0][word >> 56];
    }
    for (; count; count--) crc = table[0][(crc ^ *next++) & 0xff] ^ (crc >> 8);
    return ~crc;
}

#if defined(__x86_64__)
#define HARDWARE __attribute__((target("sse4.2")))
#define STEP8(crc, word) __builtin_ia32_crc32di(crc, word)
#define STEP1(crc, byte) __builtin_ia32_crc32qi((uint32_t)(crc), byte)
#elif defined(__aarch64__)
#define HARDWARE __attribute__((target("+crc")))
#define STEP8(crc, word) __builtin_arm_crc32cd((uint32_t)(crc), word)
#define STEP1(crc, byte) __builtin_arm_crc32cb((uint32_t)(crc), byte)
#endif

#ifdef HARDWARE
static inline uint64_t load(const unsigned char *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

HARDWARE static uint32_t crc32c_hardware(uint32_t start, const unsigned char *next, size_t count) {
    uint64_t crc0 = ~start;
    while (count >= 3 * LONG_BLOCK) {
        uint64_t crc1 = 0, crc2 = 0;
        for (const unsigned char *end = next + LONG_BLOCK; next < end; next += 8) {
            crc0 = STEP8(crc0, load(next));
            crc1 = STEP8(crc1, load(next + LONG_BLOCK));
            crc2 = STEP8(crc2, load(next + 2 * LONG_BLOCK));
        }
        crc0 = shift(zeros_long, (uint32_t)crc0) ^ crc1;
        crc0 = shift(zeros_long, (uint32_t)crc0) ^ crc2;
        next += 2 * LONG_BLOCK;
        count -= 3 * LONG_BLOCK;
    }
    while (count >= 3 * SHORT_BLOCK) {
        uint64_t crc1 = 0, crc2 = 0;
        for (const unsigned char *end = next + SHORT_BLOCK; next < end; next += 8) {
            crc0 = STEP8(crc0, load(next));
            crc1 = STEP8(crc1, load(next + SHORT_BLOCK));
            crc2 = STEP8(crc2, load(next + 2 * SHORT_BLOCK));
        }
        crc0 = shift(zeros_short, (uint32_t)crc0) ^ crc1;
        crc0 = shift(zeros_short, (uint32_t)crc0) ^ crc2;
        next += 2 * SHORT_BLOCK;
        count -= 3 * SHORT_BLOCK;
    }
    for (; count >= 8; count -= 8, next += 8) crc0 = STEP8(crc0, load(next));
    uint32_t crc = (uint32_t)crc0;
    for (; count; count--) crc = STEP1(crc, *next++);
    return ~crc;
}
#endif

uint32_t needletail_crc32c(uint32_t crc, const void *bytes, size_t count) {
#ifdef HARDWARE
    if (hardware) return crc32c_hardware(crc, bytes, count);
#endif
    return needletail_crc32c_portable(crc, bytes, count);
}

const char *needletail_crc32c_kind(void) {
#if defined(__x86_64__)
    return hardware ? "sse4.2" : "portable";
#elif defined(__aarch64__)
    return hardware ? "armv8-crc" : "portable";
#else
    return "portable";
#endif
}
