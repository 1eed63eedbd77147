internal import Bytes
internal import LinuxSystem
package import SegmentLog

/// The data directory, held by this process alone while this object lives.
package final class DataDirectory {
    package let path: String
    private let lockFile: File

    /// Makes the directory where it is absent (for its owner only) and locks it.
    package static func lock(_ path: String) throws(StorageError) -> DataDirectory { try DataDirectory(path) }

    private init(_ path: String) throws(StorageError) {
        self.path = path
        try DataDirectory.prepare(path)
        let lockPath = path + "/lock"
        let file = try storing("open", lockPath) { () throws(Errno) in try File.open(lockPath, [.readWrite, .create, .noFollow]) }
        do throws(StorageError) {
            do throws(Errno) {
                try file.lock()
            } catch .wouldBlock {
                throw DataDirectory.heldElsewhere(file, path)
            } catch {
                throw StorageError("lock", lockPath, error)
            }
            try storing("write", lockPath) { () throws(Errno) in
                try file.truncate(to: 0)
                try file.write([UInt8]("\(SystemLimits.processID)\n".utf8).rawSpan)
            }
        } catch {
            try? file.close()
            throw error
        }
        lockFile = file
    }

    /// The lock goes with the descriptor; the file stays, because removing it would let two processes hold two files of one name.
    deinit { try? lockFile.close() }

    private static func prepare(_ path: String) throws(StorageError) {
        let found: FileStatus
        do throws(Errno) {
            found = try FileSystem.status(of: path)
        } catch .noEntry {
            return try LinuxStorage().makeDirectory(path)
        } catch {
            throw StorageError("open", path, error)
        }
        func refuse(_ reason: String) -> StorageError { StorageError(operation: "use data directory", path: path, code: 0, reason: reason) }
        if found.isLink { throw refuse("it is a link; name the directory itself") }
        if !found.isDirectory { throw refuse("it is no directory") }
        if found.permissions & 0o002 != 0 { throw refuse("every user may write to it (chmod o-w \(path))") }
    }

    private static func heldElsewhere(_ file: File, _ path: String) -> StorageError {
        var text = ByteBuffer()
        try? file.read(at: 0, count: 32, into: &text)
        let holder = String(decodingBytes: text.bytes).filter(\.isNumber)
        let who = holder.isEmpty ? "another process" : "process \(holder)"
        return StorageError(
            operation: "lock data directory", path: path, code: Errno.wouldBlock.rawValue,
            reason: "\(who) is using it; stop that one, or give this one another --data")
    }
}
