internal import Bytes

/// Where a response begins in a buffer: its size, which is patched when it is whole, and its header.
///
///     | size | correlation | tagged fields
///       i32    i32           flexible versions only, never in ApiVersions
struct ResponseFrame {
    private let start: Int

    /// Writes a size to be patched and the header.
    init(_ key: KafkaAPIKey, version: Int16, correlationID: Int32, to buffer: inout ByteBuffer) {
        start = buffer.count
        buffer.append(big: 0 as Int32)
        buffer.append(big: correlationID)
        if key.hasFlexibleResponseHeader(version) { buffer.appendNoTaggedFields() }
    }

    /// Patches the size. `referencedBytes` are sent with the response without standing in the buffer: slices of the log.
    func end(in buffer: inout ByteBuffer, referencedBytes: Int = 0) {
        buffer.patch(big: Int32(clamping: buffer.count - start - 4 + referencedBytes), at: start)
    }
}
