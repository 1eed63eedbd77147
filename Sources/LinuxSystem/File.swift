package import Bytes
internal import CLinux

/// An open file or directory. A handle without ownership: whoever opened it closes it.
///
/// Interrupted calls are repeated, short reads and writes are continued.
package struct File: Hashable, Sendable {
    package let descriptor: Int32

    package init(descriptor: Int32) { self.descriptor = descriptor }

    package struct OpenOptions: OptionSet, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }
        package static let readWrite = OpenOptions(rawValue: SYS_OPEN_READ_WRITE)
        package static let create = OpenOptions(rawValue: SYS_OPEN_CREATE)
        /// Makes the file and refuses one that exists.
        package static let exclusive = OpenOptions(rawValue: SYS_OPEN_EXCLUSIVE)
        package static let directory = OpenOptions(rawValue: SYS_OPEN_DIRECTORY)
        package static let noFollow = OpenOptions(rawValue: SYS_OPEN_NOFOLLOW)
        /// Past the page cache: positions, counts and memory are multiples of the disk's block.
        package static let direct = OpenOptions(rawValue: SYS_OPEN_DIRECT)
    }

    package static func open(_ path: String, _ options: OpenOptions = [], mode: UInt32 = 0o600) throws(Errno) -> File {
        let descriptor = try repeating { () in unsafe sys_open(path, Int32(options.rawValue), mode) }
        return File(descriptor: descriptor)
    }

    /// Not repeated when interrupted: the descriptor is gone either way.
    package func close() throws(Errno) {
        let result = sys_close(descriptor)
        if result < 0, Errno(-result) != .interrupted { throw Errno(-result) }
    }

    package func status() throws(Errno) -> FileStatus {
        var found = sys_status()
        // Safety: the C function fills the one struct.
        try Errno.check(unsafe sys_fstat(descriptor, &found))
        return FileStatus(found)
    }

    /// Appends up to `count` bytes at `position` to `buffer`; fewer only at the end of the file.
    package func read(at position: Int, count: Int, into buffer: inout ByteBuffer) throws(Errno) {
        let descriptor = descriptor
        unsafe try buffer.appendUninitialized(count) { (room: UnsafeMutableRawBufferPointer) throws(Errno) -> Int in
            var done = 0
            while done < count {
                // Safety: `room` has `count` bytes, of which `done` are written.
                let got = unsafe sys_pread(descriptor, room.baseAddress.unsafelyUnwrapped + done, count - done, Int64(position + done))
                if got == Int64(-Errno.interrupted.rawValue) { continue }
                try Errno.check(got)
                if got == 0 { break }
                done += Int(got)
            }
            return done
        }
    }

    /// Reads up to `room.count` bytes at `position`; fewer at the end of the file. Of an interrupted or short read the rest is asked for
    /// only where it begins on a block, so that this serves files opened `.direct` as well.
    @unsafe package func read(at position: Int, into room: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        var done = 0
        while done < room.count {
            let start = done
            // Safety: `room` has `count` bytes, of which `start` are written.
            let got = Int(
                try File.repeating { () in
                    unsafe sys_pread(descriptor, room.baseAddress.unsafelyUnwrapped + start, room.count - start, Int64(position + start))
                })
            done += got
            if got == 0 || got % 4_096 != 0 { break }
        }
        return done
    }

    /// Appends whatever `read(2)` answers, at most `count` bytes, to `buffer`: for pipes, terminals and files read in order.
    package func read(upTo count: Int, into buffer: inout ByteBuffer) throws(Errno) -> Int {
        let descriptor = descriptor
        let before = buffer.count
        unsafe try buffer.appendUninitialized(count) { (room: UnsafeMutableRawBufferPointer) throws(Errno) -> Int in
            // Safety: `room` has `count` bytes.
            Int(try File.repeating { () in unsafe sys_read(descriptor, room.baseAddress, count) })
        }
        return buffer.count - before
    }

    /// Writes all of `bytes` where the file stands (pipes, terminals, logs).
    package func write(_ bytes: RawSpan) throws(Errno) {
        var rest = bytes.region
        while rest.count > 0 {
            // Safety: the region lies in `bytes`, which is borrowed through this call.
            let wrote = try File.repeating { () in unsafe sys_write(descriptor, UnsafeRawPointer(bitPattern: rest.address), rest.count) }
            rest = rest.dropping(Int(wrote))
        }
    }

    /// Writes all of `region`, which the caller keeps alive, at `position`.
    package func write(_ region: MemoryRegion, at position: Int) throws(Errno) {
        var rest = region
        while rest.count > 0 {
            let place = position + region.count - rest.count
            // Safety: the caller keeps the region's memory through this call.
            let wrote = try File.repeating { () in unsafe sys_pwrite(descriptor, UnsafeRawPointer(bitPattern: rest.address), rest.count, Int64(place)) }
            // A device that takes nothing and says nothing is out of space.
            guard wrote > 0 else { throw .noSpace }
            rest = rest.dropping(Int(wrote))
        }
    }

    /// Writes everything that `gather` was loaded with, at `position`.
    package func write(_ gather: GatherList, at position: Int) throws(Errno) {
        var place = position
        while !gather.isEmpty {
            // Safety: `gather` names `vectorCount` vectors whose memory its loader keeps alive.
            let wrote = try File.repeating { () in unsafe sys_pwritev(descriptor, gather.vectors, gather.vectorCount, Int64(place)) }
            guard wrote > 0 else { throw .noSpace }
            gather.advance(by: Int(wrote))
            place += Int(wrote)
        }
    }

    package func sync() throws(Errno) { _ = try File.repeating { () in sys_fsync(descriptor) } }
    /// Content and what is needed to read it, without times.
    package func syncData() throws(Errno) { _ = try File.repeating { () in sys_fdatasync(descriptor) } }
    package func truncate(to length: Int) throws(Errno) { _ = try File.repeating { () in sys_ftruncate(descriptor, Int64(length)) } }
    package func allocate(_ length: Int) throws(Errno) { _ = try File.repeating { () in sys_fallocate(descriptor, Int64(length)) } }
    /// Starts to write what is dirty. Neither waits nor promises anything: a `sync` that follows has less to do.
    package func startWriting() { sys_start_writing(descriptor) }
    package func dropCache() { sys_drop_cache(descriptor) }
    /// Takes the file for this process alone, or throws `wouldBlock`.
    package func lock() throws(Errno) { _ = try File.repeating { () in sys_flock(descriptor) } }

    /// The path by which the system knows the file, for messages.
    package var path: String {
        // Safety: the C function writes at most `count` bytes into the buffer.
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 4096) { target in
            let count = unsafe sys_readlink("/proc/self/fd/\(descriptor)", target.baseAddress, target.count)
            guard count > 0 else { return "descriptor \(descriptor)" }
            return unsafe String(decoding: UnsafeBufferPointer(rebasing: target[..<Int(count)]), as: UTF8.self)
        }
    }

    @inline(__always)
    static func repeating<T: SignedInteger>(_ call: () -> T) throws(Errno) -> T {
        while true {
            let result = call()
            if result == T(-Errno.interrupted.rawValue) { continue }
            return try Errno.check(result)
        }
    }
}

package struct FileStatus: Sendable {
    package var size: Int
    package var device: UInt64
    package var inode: UInt64
    package var permissions: UInt32
    package var isDirectory: Bool
    package var isRegular: Bool
    package var isSocket: Bool
    package var isLink: Bool

    init(_ found: sys_status) {
        size = Int(found.size)
        device = found.device
        inode = found.inode
        permissions = found.mode
        isDirectory = found.is_directory != 0
        isRegular = found.is_regular != 0
        isSocket = found.is_socket != 0
        isLink = found.is_link != 0
    }
}
