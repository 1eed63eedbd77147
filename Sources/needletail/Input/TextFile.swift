import Bytes
import LinuxSystem

/// Small files, whole.
enum TextFile {
    /// At most `most` bytes and one, so that a caller can tell that there is more.
    static func bytes(_ path: String, most: Int) throws(Errno) -> [UInt8] {
        let file = try File.open(path)
        var buffer = ByteBuffer()
        let result = Result { () throws(Errno) in
            while buffer.count <= most, try file.read(upTo: min(64 << 10, most + 1 - buffer.count), into: &buffer) > 0 {}
        }
        try file.close()
        try result.get()
        return [UInt8](buffer.bytes)
    }

    static func read(_ path: String, most: Int) throws(Errno) -> String { String(decoding: try bytes(path, most: most), as: UTF8.self) }

    /// Writes beside and renames: a reader sees the old text or the new.
    static func replace(_ path: String, with text: String) throws(Errno) {
        let beside = path + ".new"
        if FileSystem.exists(beside) { try FileSystem.remove(beside) }
        let file = try File.open(beside, [.readWrite, .create, .exclusive], mode: 0o600)
        let bytes = Array(text.utf8)
        let result = Result { () throws(Errno) in
            try file.write(bytes.rawSpan)
            try file.syncData()
        }
        try file.close()
        try result.get()
        try FileSystem.rename(beside, to: path)
    }
}
