internal import CLinux

/// A file shown as memory, for reading; unmapped with the last reference.
///
/// A page that cannot be read (an error of the disk, a file that was cut behind our back) is shown as zeros, and `hasFailed` holds from
/// then on: whoever has read looks at it afterwards.
@safe
package final class MappedFile: Sendable {
    // Safety: `count` bytes mapped by init, unmapped by deinit only. Bytes behind the end of the file are shown as zeros, too.
    nonisolated(unsafe) package let base: UnsafeRawPointer
    package let count: Int
    /// The same file, for as long as it is mapped; nil when the process had no descriptor left.
    package let file: File?
    private let watch: Int32

    /// Maps `length` bytes (at least 1) from the start of the file. The descriptor may be closed afterwards.
    package init(_ descriptor: Int32, length: Int) throws(Errno) {
        let address = try Errno.check(sys_map(descriptor, length))
        guard let base = unsafe UnsafeRawPointer(bitPattern: Int(address)) else { throw .invalid }
        do throws(Errno) {
            watch = try Errno.check(sys_watch_add(address, length))
        } catch {
            sys_unmap(address, length)
            throw error
        }
        unsafe self.base = base
        count = length
        let copy = sys_duplicate(descriptor)
        file = copy < 0 ? nil : File(descriptor: copy)
    }

    deinit {
        sys_watch_remove(watch)
        sys_unmap(address, count)
        if let file { sys_close(file.descriptor) }
    }

    private var address: Int64 { Int64(Int(bitPattern: unsafe base)) }

    /// A page of it could not be read.
    package var hasFailed: Bool { sys_watch_failed(watch) != 0 }

    /// Whether reading `range` waits for no disk, as far as the system says.
    package func isResident(_ range: Range<Int>) -> Bool {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return range.isEmpty || sys_resident(address + Int64(range.lowerBound), range.count) != 0
    }

    /// Brings `range` into memory, and waits for it. What cannot be read shows in `hasFailed`.
    package func load(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        // Where the system cannot do it at once, or meets an error, each page is read.
        if !range.isEmpty, sys_populate(address + Int64(range.lowerBound), range.count) < 0 { touch(range) }
    }

    /// Reads a byte of each page of `range`, so that one that cannot be read shows in `hasFailed`.
    package func touch(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        sys_touch(address + Int64(range.lowerBound), range.count)
    }
}
