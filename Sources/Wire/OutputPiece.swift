package import Bytes
package import SegmentLog

/// One piece of what a driver sends: memory, and for long runs of stored bytes the file that they lie in.
///
/// Long runs go from the file: the memory that shows it is then not touched, so that reading a backlog maps none of it into this
/// process (measured: faults and resident memory), and the bytes are not copied on this side.
package struct OutputPiece: Sendable {
    /// The bytes; valid whether they are sent from here or not.
    package let region: MemoryRegion
    /// Where the same bytes lie in a file that stays open as long as the region is valid.
    package let file: (handle: FileHandle, position: Int)?

    package init(_ region: MemoryRegion) {
        self.region = region
        file = nil
    }

    package init(_ slice: LogSlice) {
        region = slice.memory.region(slice.range)
        file = slice.range.count >= SessionOutput.fileLimit ? slice.memory.file.map { ($0, slice.range.lowerBound) } : nil
    }
}
