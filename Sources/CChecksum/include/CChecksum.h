#ifndef NEEDLETAIL_CCHECKSUM_H
#define NEEDLETAIL_CCHECKSUM_H
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, reflected, RFC 3720 appendix B.4) of `count` bytes, continuing from `crc` (0 at the start).
uint32_t needletail_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The table-driven form, for machines without the instruction and for tests that compare the two.
uint32_t needletail_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

/// Which form `needletail_crc32c` uses here: "sse4.2", "armv8-crc" or "portable".
const char *needletail_crc32c_kind(void);

#endif
