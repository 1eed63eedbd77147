internal import CLinux

/// A file shown as memory, for reading; unmapped with the last reference.
@safe
package final class MappedFile: Sendable {
    // Safety: `count` bytes mapped by init, unmapped by deinit only. Bytes behind the end of the file must not be touched.
    nonisolated(unsafe) package let base: UnsafeRawPointer
    package let count: Int
    /// The same file, for as long as it is mapped; nil when the process had no descriptor left.
    package let file: File?

    /// Maps `length` bytes (at least 1) from the start of the file. The descriptor may be closed afterwards.
    package init(_ descriptor: Int32, length: Int) throws(Errno) {
        let address = try Errno.check(sys_map(descriptor, length))
        guard let base = unsafe UnsafeRawPointer(bitPattern: Int(address)) else { throw .invalid }
        unsafe self.base = base
        count = length
        let copy = sys_duplicate(descriptor)
        file = copy < 0 ? nil : File(descriptor: copy)
    }

    deinit {
        sys_unmap(Int64(Int(bitPattern: unsafe base)), count)
        if let file { sys_close(file.descriptor) }
    }
}
