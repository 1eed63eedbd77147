internal import CLinux

/// What is done by path.
package enum FileSystem {
    /// Does not follow a link at the end of the path.
    package static func status(of path: String) throws(Errno) -> FileStatus {
        var found = sys_status()
        // Safety: the C function fills the one struct.
        try Errno.check(unsafe sys_lstat(path, &found))
        return FileStatus(found)
    }

    package static func exists(_ path: String) -> Bool { (try? status(of: path)) != nil }
    package static func makeDirectory(_ path: String, mode: UInt32 = 0o700) throws(Errno) { try Errno.check(unsafe sys_mkdir(path, mode)) }
    package static func remove(_ path: String) throws(Errno) { try Errno.check(unsafe sys_unlink(path)) }
    package static func removeDirectory(_ path: String) throws(Errno) { try Errno.check(unsafe sys_rmdir(path)) }
    package static func rename(_ path: String, to newPath: String) throws(Errno) { try Errno.check(unsafe sys_rename(path, newPath)) }
    package static func setPermissions(_ path: String, _ mode: UInt32) throws(Errno) { try Errno.check(unsafe sys_chmod(path, mode)) }

    /// Makes the names in a directory durable.
    package static func syncDirectory(_ path: String) throws(Errno) {
        let directory = try File.open(path, .directory)
        let result = Result { () throws(Errno) in try directory.sync() }
        try directory.close()
        try result.get()
    }

    package struct Entry: Sendable {
        package var name: String
        package var size: Int
        package var isDirectory: Bool
    }

    /// The entries of a directory, in no order.
    package static func list(_ path: String) throws(Errno) -> [Entry] {
        var entries: [Entry] = []
        // Safety: the C function calls back only before it returns; the context is the local array.
        let result = unsafe withUnsafeMutablePointer(to: &entries) { entries in
            unsafe sys_list(path, entries) { context, name, size, isDirectory in
                let entries = unsafe context.unsafelyUnwrapped.assumingMemoryBound(to: [Entry].self)
                let entry = unsafe Entry(name: String(cString: name.unsafelyUnwrapped), size: Int(size), isDirectory: isDirectory != 0)
                unsafe entries.pointee.append(entry)
            }
        }
        try Errno.check(result)
        return entries
    }

    /// The part before the last slash: `.` where there is none.
    package static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
