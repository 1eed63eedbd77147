internal import CChecksum

/// CRC-32C (Castagnoli), the checksum of Kafka's record batches and of our own files.
package enum CRC32C {
    /// The checksum of `bytes`, continuing from `crc`.
    package static func checksum(_ bytes: RawSpan, continuing crc: UInt32 = 0) -> UInt32 {
        // Safety: the C function reads `count` bytes inside the closure and keeps nothing.
        unsafe bytes.withUnsafeBytes { unsafe needletail_crc32c(crc, $0.baseAddress, $0.count) }
    }

    /// The table-driven form, for machines without the instruction and to compare with.
    package static func portableChecksum(_ bytes: RawSpan, continuing crc: UInt32 = 0) -> UInt32 {
        // Safety: as above.
        unsafe bytes.withUnsafeBytes { unsafe needletail_crc32c_portable(crc, $0.baseAddress, $0.count) }
    }

    /// How checksums are computed on this machine: `sse4.2`, `armv8-crc` or `portable`.
    package static var kind: String {
        // Safety: a static C string.
        unsafe String(cString: needletail_crc32c_kind())
    }
}
