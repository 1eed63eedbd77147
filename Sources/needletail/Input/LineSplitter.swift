/// Cuts a stream of bytes into lines, however it was cut before. A line is what lies before a line feed, exactly as it was written
/// (a carriage return belongs to it); what has no line feed yet waits.
struct LineSplitter: Sendable {
    /// What has come behind the last line feed.
    private(set) var rest: [UInt8] = []

    mutating func lines(of bytes: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = 0
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            if rest.isEmpty {
                lines.append(Array(bytes[start..<end]))
            } else {
                lines.append(rest + bytes[start..<end])
                rest.removeAll(keepingCapacity: true)
            }
            start = end + 1
        }
        rest += bytes[start...]
        return lines
    }

    /// The last line, when it ends without a line feed.
    mutating func finish() -> [UInt8]? {
        guard !rest.isEmpty else { return nil }
        defer { rest = [] }
        return rest
    }
}
