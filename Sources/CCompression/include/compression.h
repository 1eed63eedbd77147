#ifndef NEEDLETAIL_CCOMPRESSION_H
#define NEEDLETAIL_CCOMPRESSION_H

#include <stddef.h>
#include <stdint.h>

// Four codecs behind one face, each in the framing that Kafka's clients use: 1 gzip (members may follow one another), 2 snappy (raw, or
// in the blocks of the Java library; written in blocks), 3 lz4 (frames; written with independent blocks of 64 KiB), 4 zstd (frames).

enum {
    NEEDLETAIL_COMPRESSION_DAMAGED = -1,
    // The output is longer than the room that was given.
    NEEDLETAIL_COMPRESSION_NO_ROOM = -2,
    NEEDLETAIL_COMPRESSION_NO_MEMORY = -3,
};

// Both answer the bytes written, or one of the codes above. They keep nothing, and need memory that does not depend on the input's claims.
int64_t needletail_decompress(int codec, const void *input, size_t count, void *output, size_t room);
int64_t needletail_compress(int codec, const void *input, size_t count, void *output, size_t room);
// The room that compressing `count` bytes can take at the most.
size_t needletail_compress_bound(int codec, size_t count);
// What the input says of its own length; -1 when it does not. A hint: it may lie.
int64_t needletail_decompressed_claim(int codec, const void *input, size_t count);

#endif
