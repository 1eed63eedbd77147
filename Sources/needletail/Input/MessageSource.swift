import Bytes
import LinuxSystem

/// Where messages to be published come from.
enum MessageSource: Sendable {
    case texts([String])
    /// Each line of each file; `-` is standard input.
    case lines(of: [String])
    /// Each file is one message.
    case files([String])
    /// Each line of a file, and of what is appended to it or takes its place.
    case follow(String, from: FileFollower.Place?)
}

/// A few messages, and what the source says about itself.
struct MessageRun: Sendable {
    var messages: [[UInt8]]
    /// Nothing more is there at the moment: what was taken should be sent.
    var isPause = false
    /// How far a followed file was taken; a line without line feed is not.
    var place: FileFollower.Place?
}

/// Reads a source run by run. Belongs to one task; it waits in short steps so that the user's wish to stop is heard.
final class MessageReader {
    private let stop: StopSignal
    private var texts: [String] = []
    private var paths: ArraySlice<String> = []
    private var areWhole = false
    private var follower: FileFollower?
    private var file: File?
    private var splitter = LineSplitter()

    /// How long to wait before looking at a followed file again.
    private static let lookAgain: Duration = .milliseconds(50)

    init(_ source: MessageSource, stop: StopSignal) {
        self.stop = stop
        switch source {
        case .texts(let texts): self.texts = texts
        case .lines(let paths): self.paths = paths[...]
        case .files(let paths):
            self.paths = paths[...]
            areWhole = true
        case .follow(let path, let place): follower = FileFollower(path: path, resumesAt: place)
        }
    }

    /// nil when there is nothing more, or when the user wants to stop.
    func next() async throws -> MessageRun? {
        if stop.isSet { return nil }
        if !texts.isEmpty {
            defer { texts = [] }
            return MessageRun(messages: texts.map { Array($0.utf8) })
        }
        if follower != nil { return try await followed() }
        return areWhole ? try wholeFile() : try lines()
    }

    // MARK: Following

    private func followed() async throws -> MessageRun? {
        while !stop.isSet {
            guard let look = try follower?.look() else { return nil }
            switch look {
            case .bytes(let bytes):
                let lines = splitter.lines(of: bytes)
                if !lines.isEmpty { return MessageRun(messages: lines, place: place) }
            case .newFile:
                // The old file's last line will not be finished any more.
                if let line = splitter.finish() { return MessageRun(messages: [line], place: place) }
            case .nothing:
                try? await Task.sleep(for: MessageReader.lookAgain)
                return MessageRun(messages: [], isPause: true, place: place)
            }
        }
        return nil
    }

    private var place: FileFollower.Place? {
        guard var place = follower?.place else { return nil }
        place.position -= splitter.rest.count
        return place
    }

    // MARK: Files and standard input

    private func lines() throws -> MessageRun? {
        while !stop.isSet {
            if file == nil {
                guard let path = paths.popFirst() else { return nil }
                file = path == "-" ? .standardInput : try open(path)
            }
            guard let file else { return nil }
            // Standard input may be a pipe or a terminal where nothing comes for long.
            guard try Socket(descriptor: file.descriptor).wait(for: .read, milliseconds: 100) else { return MessageRun(messages: [], isPause: true) }
            var buffer = ByteBuffer()
            let count = try file.read(upTo: FileFollower.chunk, into: &buffer)
            if count > 0 {
                let lines = splitter.lines(of: [UInt8](buffer.bytes))
                if !lines.isEmpty { return MessageRun(messages: lines) }
                continue
            }
            if file != .standardInput { try file.close() }
            self.file = nil
            if let line = splitter.finish() { return MessageRun(messages: [line]) }
        }
        return nil
    }

    private func wholeFile() throws -> MessageRun? {
        guard let path = paths.popFirst() else { return nil }
        let file = path == "-" ? File.standardInput : try open(path)
        var buffer = ByteBuffer()
        while buffer.count <= 64 << 20, try file.read(upTo: FileFollower.chunk, into: &buffer) > 0 {}
        if file != .standardInput { try file.close() }
        return MessageRun(messages: [[UInt8](buffer.bytes)])
    }

    private func open(_ path: String) throws(CommandFailure) -> File {
        do { return try File.open(path) } catch { throw CommandFailure(.failure, "cannot read \(path): \(error)") }
    }
}
