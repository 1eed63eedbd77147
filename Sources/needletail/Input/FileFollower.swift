import Bytes
import LinuxSystem

/// Reads a file that grows, by name, as `tail -F` does: it goes on with the new file when the name is given to another (rotation),
/// from the beginning when the file was cut (truncation), and waits when there is none.
///
/// Invariant: every byte that was in the file when it was looked at is given once, in order. What is written to a file and cut away
/// between two looks is not seen by anybody.
final class FileFollower {
    /// Which file, and how far in it.
    struct Place: Equatable, Sendable {
        var device: UInt64
        var inode: UInt64
        var position: Int
    }

    enum Look: Equatable {
        case bytes([UInt8])
        /// Nothing new now.
        case nothing
        /// The file was replaced or cut: what comes next begins a new line.
        case newFile
    }

    static let chunk = 256 << 10

    let path: String
    /// nil: no file is open.
    private(set) var place: Place?
    private var file: File?
    private var resumesAt: Place?

    /// - Parameter resumesAt: where an earlier reading had come to; counts when the name still means that file and it is that long.
    init(path: String, resumesAt: Place? = nil) {
        self.path = path
        self.resumesAt = resumesAt
    }

    deinit { try? file?.close() }

    /// Looks once; never waits.
    func look() throws(Errno) -> Look {
        guard let file, let place else { return try open() ? try look() : .nothing }
        let status = try file.status()
        if status.size < place.position {
            self.place?.position = 0
            return .newFile
        }
        if status.size > place.position {
            var buffer = ByteBuffer()
            try file.read(at: place.position, count: min(FileFollower.chunk, status.size - place.position), into: &buffer)
            self.place?.position += buffer.count
            if buffer.count > 0 { return .bytes([UInt8](buffer.bytes)) }
        }
        // Only when the old file is read to its end does the new one matter.
        guard try isReplaced(place) else { return .nothing }
        try? file.close()
        self.file = nil
        self.place = nil
        return .newFile
    }

    private func open() throws(Errno) -> Bool {
        guard let opened = try FileFollower.openIfThere(path) else { return false }
        let status = try opened.status()
        guard status.isRegular else {
            try? opened.close()
            throw .invalid
        }
        file = opened
        place = Place(device: status.device, inode: status.inode, position: 0)
        if let resumesAt, resumesAt.device == status.device, resumesAt.inode == status.inode, resumesAt.position <= status.size {
            place?.position = resumesAt.position
        }
        resumesAt = nil
        return true
    }

    /// Whether the name means another file now. By opening it, because the name may be a link whose target changes. When there is
    /// no file, the writer may go on in the old one until there is.
    private func isReplaced(_ place: Place) throws(Errno) -> Bool {
        guard let now = try FileFollower.openIfThere(path) else { return false }
        defer { try? now.close() }
        let status = try now.status()
        return status.inode != place.inode || status.device != place.device
    }

    private static func openIfThere(_ path: String) throws(Errno) -> File? {
        do throws(Errno) { return try File.open(path) } catch .noEntry { return nil }
    }
}
