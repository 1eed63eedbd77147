internal import Bytes
internal import CLinux

/// What the system says of itself and allows this process.
package enum SystemLimits {
    package static var kernelRelease: String {
        // Safety: the C function writes at most `count` bytes with a terminating zero into the buffer.
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { text in
            guard unsafe sys_release(text.baseAddress, text.count) == 0 else { return "unknown" }
            return unsafe String(cString: text.baseAddress.unsafelyUnwrapped)
        }
    }

    package static var processID: Int32 { sys_process_id() }
    package static var isRoot: Bool { sys_user_id() == 0 }

    /// How many descriptors may be open: now, and after `raiseFileLimit`.
    package static var openFiles: (soft: UInt64, hard: UInt64) {
        var soft: UInt64 = 0
        var hard: UInt64 = 0
        // Safety: two numbers are filled.
        unsafe sys_limit_files(&soft, &hard)
        return (soft, hard)
    }

    /// The descriptor that would be given out next, which is the lowest that is free; nil where there is none.
    package static var nextDescriptor: Int? {
        let next = sys_eventfd(0, 1)
        guard next >= 0 else { return nil }
        sys_close(next)
        return Int(next)
    }

    /// Lifts the limit of open descriptors to what the system allows without asking.
    package static func raiseFileLimit() throws(Errno) { try setFileLimit(.max) }
    /// Sets the limit of open descriptors, at most to what the system allows without asking.
    package static func setFileLimit(_ soft: UInt64) throws(Errno) { try Errno.check(sys_set_file_limit(soft)) }

    /// Bytes of memory that may be locked; `.max` without limit.
    package static var lockedMemory: UInt64 {
        var soft: UInt64 = 0
        // Safety: one number is filled.
        unsafe sys_limit_locked_memory(&soft)
        return soft
    }

    /// Bytes of memory that this process may use: the machine's, or less where its control group has less.
    package static var memory: UInt64 {
        let machine = text(of: "/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
        let kibibytes = machine.flatMap { UInt64($0.filter(\.isNumber)) } ?? 1 << 20
        return controlGroups.reduce(kibibytes << 10) { min($0, $1) }
    }

    /// What the process's control groups allow, in both versions of them. A group's own file may lie elsewhere in a container: then its root's counts.
    private static var controlGroups: [UInt64] {
        var found: [UInt64] = []
        for line in text(of: "/proc/self/cgroup").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isUnified = parts[0] == "0" && parts[1].isEmpty
            guard isUnified || parts[1].split(separator: ",").contains("memory") else { continue }
            let (root, name) = isUnified ? ("/sys/fs/cgroup", "memory.max") : ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            var path = String(parts[2])
            while true {
                let limit = text(of: root + (path == "/" ? "" : path) + "/" + name)
                if let bytes = UInt64(limit.filter { !$0.isWhitespace }), bytes > 0 { found.append(bytes) }
                guard path.count > 1, let slash = path.lastIndex(of: "/") else { break }
                path = slash == path.startIndex ? "/" : String(path[..<slash])
            }
        }
        return found
    }

    /// A small file of the system; nothing where there is none.
    private static func text(of path: String) -> String {
        var content = ByteBuffer()
        do throws(Errno) {
            let file = try File.open(path)
            defer { try? file.close() }
            try file.read(at: 0, count: 64 << 10, into: &content)
        } catch { return "" }
        return String(decodingBytes: content.bytes)
    }

    package struct Filesystem: Sendable {
        package var type: String
        package var freeBytes: Int64
        package var totalBytes: Int64
    }

    /// The file system that holds `path`.
    package static func filesystem(of path: String) throws(Errno) -> Filesystem {
        var found = sys_filesystem()
        // Safety: the C function fills the one struct.
        try Errno.check(unsafe sys_statfs(path, &found))
        let known: [UInt64: String] = [
            0xef53: "ext4", 0x5846_5342: "xfs", 0x9123_683e: "btrfs", 0x0102_1994: "tmpfs", 0x794c_7630: "overlayfs", 0x6969: "nfs",
            0x2fc1_2fc1: "zfs", 0x6573_5546: "fuse", 0xf2f5_2010: "f2fs", 0x0102_1997: "9p",
        ]
        return Filesystem(type: known[found.type] ?? "type 0x" + String(found.type, radix: 16), freeBytes: found.free_bytes, totalBytes: found.total_bytes)
    }
}
