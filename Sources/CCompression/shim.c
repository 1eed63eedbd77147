#include "compression.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { GZIP = 1, SNAPPY = 2, LZ4 = 3, ZSTD = 4 };
enum { DAMAGED = NEEDLETAIL_COMPRESSION_DAMAGED, NO_ROOM = NEEDLETAIL_COMPRESSION_NO_ROOM, NO_MEMORY = NEEDLETAIL_COMPRESSION_NO_MEMORY };

// zlib counts in 32 bits: larger runs go in pieces.
static uInt piece(size_t rest) { return rest > (1u << 30) ? (1u << 30) : (uInt)rest; }

static int64_t gunzip(const uint8_t *input, size_t count, uint8_t *output, size_t room) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (inflateInit2(&stream, 15 + 16) != Z_OK) return NO_MEMORY;
    size_t taken = 0, written = 0;
    int64_t result = DAMAGED;
    uint8_t spare;
    for (;;) {
        // With no room left one byte more shows whether anything follows.
        int full = written == room;
        stream.next_in = (Bytef *)(input + taken);
        stream.avail_in = piece(count - taken);
        stream.next_out = full ? &spare : output + written;
        stream.avail_out = full ? 1 : piece(room - written);
        uInt in_before = stream.avail_in, out_before = stream.avail_out;
        int code = inflate(&stream, Z_NO_FLUSH);
        size_t took = in_before - stream.avail_in, gave = out_before - stream.avail_out;
        taken += took;
        if (full && gave > 0) {
            result = NO_ROOM;
            break;
        }
        if (!full) written += gave;
        if (code == Z_STREAM_END) {
            if (taken == count) {
                result = (int64_t)written;
                break;
            }
            if (inflateReset(&stream) != Z_OK) break;
            continue;
        }
        if (code == Z_MEM_ERROR) {
            result = NO_MEMORY;
            break;
        }
        if ((code != Z_OK && code != Z_BUF_ERROR) || (took == 0 && gave == 0)) break;
    }
    inflateEnd(&stream);
    return result;
}

static int64_t gzip(const uint8_t *input, size_t count, uint8_t *output, size_t room) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return NO_MEMORY;
    size_t taken = 0, written = 0;
    int64_t result = NO_ROOM;
    for (;;) {
        stream.next_in = (Bytef *)(input + taken);
        stream.avail_in = piece(count - taken);
        stream.next_out = output + written;
        stream.avail_out = piece(room - written);
        uInt in_before = stream.avail_in, out_before = stream.avail_out;
        int code = deflate(&stream, taken + in_before == count ? Z_FINISH : Z_NO_FLUSH);
        size_t took = in_before - stream.avail_in, gave = out_before - stream.avail_out;
        taken += took;
        written += gave;
        if (code == Z_STREAM_END) {
            result = (int64_t)written;
            break;
        }
        if (code != Z_OK || (took == 0 && gave == 0)) break;
    }
    deflateEnd(&stream);
    return result;
}

// The Java library's framing: a head of 16 bytes, then blocks with their length in front, big-endian.
static const uint8_t blocks_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
enum { BLOCKS_HEAD = 16, BLOCK = 32 << 10 };

static uint32_t big(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static void put_big(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static int has_blocks(const uint8_t *input, size_t count) { return count >= BLOCKS_HEAD && memcmp(input, blocks_magic, sizeof blocks_magic) == 0; }

static int64_t unsnap_raw(const uint8_t *input, size_t count, uint8_t *output, size_t room) {
    size_t length = 0;
    if (snappy_uncompressed_length((const char *)input, count, &length) != SNAPPY_OK) return DAMAGED;
    // No byte of input makes more than 64 of output: what claims more lies.
    if (length / 64 > count) return DAMAGED;
    if (length > room) return NO_ROOM;
    if (snappy_uncompress((const char *)input, count, (char *)output, &length) != SNAPPY_OK) return DAMAGED;
    return (int64_t)length;
}

static int64_t unsnap(const uint8_t *input, size_t count, uint8_t *output, size_t room) {
    if (!has_blocks(input, count)) return unsnap_raw(input, count, output, room);
    size_t at = BLOCKS_HEAD, written = 0;
    while (at < count) {
        if (count - at < 4) return DAMAGED;
        size_t length = big(input + at);
        at += 4;
        if (length > count - at) return DAMAGED;
        int64_t gave = unsnap_raw(input + at, length, output + written, room - written);
        if (gave < 0) return gave;
        at += length;
        written += (size_t)gave;
    }
    return (int64_t)written;
}

static int64_t snap(const uint8_t *input, size_t count, uint8_t *output, size_t room) {
    if (room < BLOCKS_HEAD) return NO_ROOM;
    memcpy(output, blocks_magic, sizeof blocks_magic);
    put_big(output + 8, 1);
    put_big(output + 12, 1);
    size_t written = BLOCKS_HEAD;
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t length = count - at < BLOCK ? count - at : BLOCK;
        if (room - written < 4) return NO_ROOM;
        size_t gave = room - written - 4;
        if (snappy_compress((const char *)input + at, length, (char *)output + written + 4, &gave) != SNAPPY_OK) return NO_ROOM;
        put_big(output + written, (uint32_t)gave);
        written += 4 + gave;
    }
    return (int64_t)written;
}

static int64_t unlz4(const uint8_t *input, size_t count, uint8_t *output, size_t room) {
    LZ4F_dctx *context = NULL;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) return NO_MEMORY;
    size_t taken = 0, written = 0;
    int64_t result = DAMAGED;
    uint8_t spare;
    for (;;) {
        int full = written == room;
        size_t took = count - taken, gave = full ? 1 : room - written;
        size_t hint = LZ4F_decompress(context, full ? &spare : output + written, &gave, input + taken, &took, NULL);
        if (LZ4F_isError(hint)) break;
        taken += took;
        if (full && gave > 0) {
            result = NO_ROOM;
            break;
        }
        if (!full) written += gave;
        // A frame has ended; another may follow.
        if (hint == 0 && taken == count) {
            result = (int64_t)written;
            break;
        }
        if (took == 0 && gave == 0) break;
    }
    LZ4F_freeDecompressionContext(context);
    return result;
}

static LZ4F_preferences_t lz4_preferences(size_t count) {
    LZ4F_preferences_t preferences;
    memset(&preferences, 0, sizeof preferences);
    // Kafka's own reader takes no blocks that depend on one another.
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.contentSize = 0;
    (void)count;
    return preferences;
}

int64_t needletail_decompress(int codec, const void *input, size_t count, void *output, size_t room) {
    switch (codec) {
    case GZIP: return gunzip(input, count, output, room);
    case SNAPPY: return unsnap(input, count, output, room);
    case LZ4: return unlz4(input, count, output, room);
    case ZSTD: {
        // In one go, straight into the output: the window that a frame asks for costs nothing then.
        size_t gave = ZSTD_decompress(output, room, input, count);
        if (!ZSTD_isError(gave)) return (int64_t)gave;
        switch (ZSTD_getErrorCode(gave)) {
        case ZSTD_error_dstSize_tooSmall: return NO_ROOM;
        case ZSTD_error_memory_allocation: return NO_MEMORY;
        default: return DAMAGED;
        }
    }
    default: return DAMAGED;
    }
}

int64_t needletail_compress(int codec, const void *input, size_t count, void *output, size_t room) {
    switch (codec) {
    case GZIP: return gzip(input, count, output, room);
    case SNAPPY: return snap(input, count, output, room);
    case LZ4: {
        LZ4F_preferences_t preferences = lz4_preferences(count);
        size_t gave = LZ4F_compressFrame(output, room, input, count, &preferences);
        return LZ4F_isError(gave) ? NO_ROOM : (int64_t)gave;
    }
    case ZSTD: {
        size_t gave = ZSTD_compress(output, room, input, count, ZSTD_CLEVEL_DEFAULT);
        return ZSTD_isError(gave) ? NO_ROOM : (int64_t)gave;
    }
    default: return DAMAGED;
    }
}

size_t needletail_compress_bound(int codec, size_t count) {
    switch (codec) {
    case GZIP: return count + count / 1000 + 1024;
    case SNAPPY: return BLOCKS_HEAD + (count / BLOCK + 1) * (4 + snappy_max_compressed_length(BLOCK));
    case LZ4: {
        LZ4F_preferences_t preferences = lz4_preferences(count);
        return LZ4F_compressFrameBound(count, &preferences);
    }
    default: return ZSTD_compressBound(count);
    }
}

int64_t needletail_decompressed_claim(int codec, const void *input, size_t count) {
    if (codec == ZSTD) {
        unsigned long long size = ZSTD_getFrameContentSize(input, count);
        return size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > INT64_MAX ? -1 : (int64_t)size;
    }
    if (codec == SNAPPY && !has_blocks(input, count)) {
        size_t length = 0;
        return snappy_uncompressed_length(input, count, &length) == SNAPPY_OK ? (int64_t)length : -1;
    }
    return -1;
}
