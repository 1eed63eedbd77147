import Bytes
import LinuxSystem
import Testing

@testable import needletail

/// A directory that goes with the test.
final class ScratchDirectory {
    let path: String

    init() throws {
        path = "/tmp/needletail-test-\(SystemLimits.processID)-\(Clock.monotonic)"
        try FileSystem.makeDirectory(path)
    }

    deinit {
        for entry in (try? FileSystem.list(path)) ?? [] { try? FileSystem.remove("\(path)/\(entry.name)") }
        try? FileSystem.removeDirectory(path)
    }

    func write(_ name: String, _ text: String, at position: Int = 0) throws {
        let file = try File.open("\(path)/\(name)", [.readWrite, .create])
        let bytes = Array(text.utf8)
        try file.write(bytes.rawSpan.region, at: position)
        withExtendedLifetime(bytes) {}
        try file.close()
    }

    func truncate(_ name: String, to length: Int) throws {
        let file = try File.open("\(path)/\(name)", .readWrite)
        try file.truncate(to: length)
        try file.close()
    }
}

/// Goal: lines come out exactly as they were written, however they came in.
@Suite struct LineSplitterTests {
    @Test func anySplitGivesTheSameLines() {
        let text = Array("one\n\ntwo\r\n\u{0}é\nlast".utf8)
        let expected = ["one", "", "two\r", "\u{0}é", "last"]
        for first in 0...text.count {
            for second in first...text.count {
                var splitter = LineSplitter()
                var lines = splitter.lines(of: Array(text[..<first]))
                lines += splitter.lines(of: Array(text[first..<second]))
                lines += splitter.lines(of: Array(text[second...]))
                if let last = splitter.finish() { lines.append(last) }
                #expect(lines.map { String(decoding: $0, as: UTF8.self) } == expected)
            }
        }
    }

    @Test func aFinalLineFeedIsNoFurtherLine() {
        var splitter = LineSplitter()
        #expect(splitter.lines(of: Array("a\n".utf8)).count == 1)
        #expect(splitter.finish() == nil)
    }
}

/// Goal: a followed file is read once and in order through growth, rotation, truncation, absence and restarts.
@Suite struct FileFollowerTests {
    /// Everything that can be had now, with `|` where another file begins.
    private func all(_ follower: FileFollower) throws -> String {
        var text = ""
        while true {
            switch try follower.look() {
            case .bytes(let bytes): text += String(decoding: bytes, as: UTF8.self)
            case .newFile: text += "|"
            case .nothing: return text
            }
        }
    }

    @Test func whatIsAppendedIsReadOnce() throws {
        let scratch = try ScratchDirectory()
        let follower = FileFollower(path: scratch.path + "/f")
        #expect(try all(follower) == "")
        try scratch.write("f", "abc")
        #expect(try all(follower) == "abc")
        #expect(try all(follower) == "")
        try scratch.write("f", "def", at: 3)
        #expect(try all(follower) == "def")
    }

    @Test func rotationReadsTheOldFileToItsEndFirst() throws {
        let scratch = try ScratchDirectory()
        let follower = FileFollower(path: scratch.path + "/f")
        try scratch.write("f", "old")
        #expect(try all(follower) == "old")
        try FileSystem.rename(scratch.path + "/f", to: scratch.path + "/f.1")
        // The writer has not noticed yet.
        try scratch.write("f.1", " tail", at: 3)
        #expect(try all(follower) == " tail")
        try scratch.write("f.1", "!", at: 8)
        try scratch.write("f", "new")
        #expect(try all(follower) == "!|new")
    }

    @Test func truncationBeginsAnew() throws {
        let scratch = try ScratchDirectory()
        let follower = FileFollower(path: scratch.path + "/f")
        try scratch.write("f", "long text")
        #expect(try all(follower) == "long text")
        try scratch.truncate("f", to: 0)
        try scratch.write("f", "ab")
        #expect(try all(follower) == "|ab")
    }

    @Test func aRestartGoesOnWhereTheSameFileStood() throws {
        let scratch = try ScratchDirectory()
        try scratch.write("f", "seen and new")
        let first = FileFollower(path: scratch.path + "/f")
        _ = try first.look()
        var place = try #require(first.place)
        place.position = 4
        #expect(try all(FileFollower(path: scratch.path + "/f", resumesAt: place)) == " and new")
        // Another file, or one that is shorter than what was read, is read from its beginning.
        place.inode += 1
        #expect(try all(FileFollower(path: scratch.path + "/f", resumesAt: place)) == "seen and new")
        place.inode -= 1
        place.position = 1_000
        #expect(try all(FileFollower(path: scratch.path + "/f", resumesAt: place)) == "seen and new")
    }

    @Test func aDirectoryIsRefused() throws {
        let scratch = try ScratchDirectory()
        #expect(throws: Errno.self) { try FileFollower(path: scratch.path).look() }
    }
}

@Suite struct MessageReaderTests {
    private func texts(_ run: MessageRun) -> [String] { run.messages.map { String(decoding: $0, as: UTF8.self) } }

    @Test func filesAreReadLineByLineOrWhole() async throws {
        let scratch = try ScratchDirectory()
        try scratch.write("a", "1\n2")
        try scratch.write("b", "3\n")
        let paths = [scratch.path + "/a", scratch.path + "/b"]
        for (source, expected) in [(MessageSource.lines(of: paths), ["1", "2", "3"]), (.files(paths), ["1\n2", "3\n"]), (.texts(["x", ""]), ["x", ""])] {
            let reader = MessageReader(source, stop: StopSignal())
            var found: [String] = []
            while let run = try await reader.next() { found += texts(run) }
            #expect(found == expected)
        }
    }

    @Test func anUnfinishedLineIsNotCountedAsRead() async throws {
        let scratch = try ScratchDirectory()
        try scratch.write("f", "one\ntw")
        let reader = MessageReader(.follow(scratch.path + "/f", from: nil), stop: StopSignal())
        let first = try #require(try await reader.next())
        #expect(texts(first) == ["one"])
        #expect(first.place?.position == 4)
        try scratch.write("f", "o\n", at: 6)
        var run = try #require(try await reader.next())
        while run.isPause { run = try #require(try await reader.next()) }
        #expect(texts(run) == ["two"])
        #expect(run.place?.position == 8)
    }

    @Test func theWishToStopEndsIt() async throws {
        let scratch = try ScratchDirectory()
        let stop = StopSignal()
        let reader = MessageReader(.follow(scratch.path + "/none", from: nil), stop: stop)
        #expect(try await reader.next()?.isPause == true)
        stop.set()
        #expect(try await reader.next() == nil)
    }

    @Test func aFileThatIsNotThereIsNamed() async {
        let reader = MessageReader(.lines(of: ["/nonexistent/x"]), stop: StopSignal())
        await #expect(throws: CommandFailure(.failure, "cannot read /nonexistent/x: No such file or directory")) { try await reader.next() }
    }

    @Test func howFarAFileWasReadIsKept() throws {
        let scratch = try ScratchDirectory()
        let resume = ResumeFile(path: scratch.path + "/place")
        #expect(try resume.read() == nil)
        let place = FileFollower.Place(device: 1, inode: .max, position: 7)
        try resume.write(place)
        try resume.write(place)
        #expect(try resume.read() == place)
        for text in ["", "1 2", "1 2 x\n", "1 2 3 4", "1 2 99999999999999999999"] {
            try TextFile.replace(resume.path, with: text)
            #expect(throws: CommandFailure.self) { try resume.read() }
        }
    }
}
