import Bytes
import LinuxSystem
import SegmentLog
import Testing

@testable import ShardRuntime

/// The disk behind the logs, with real files, on every driver.
@Suite struct LinuxStorageTests {
    /// One storage with its driver and a directory.
    final class Fixture {
        let harness: DriverHarness
        let directory: TemporaryDirectory
        var storage: any LogStorage { harness.driver.storage }
        private var tickets: UInt64 = 0

        init(_ kind: DriverKind) throws {
            harness = try DriverHarness(kind)
            directory = try TemporaryDirectory()
        }

        func path(_ name: String) -> String { directory.path + "/" + name }

        func start(_ operation: StorageOperation) -> StorageTicket {
            tickets += 1
            let ticket = StorageTicket(rawValue: tickets)
            storage.start(operation, ticket: ticket)
            return ticket
        }

        /// Starts an operation and waits for its answer.
        func run(_ operation: StorageOperation) throws -> StorageResult {
            let ticket = start(operation)
            try harness.run("completion") { harness.storage[ticket] != nil }
            return try #require(harness.storage[ticket])
        }

        func content(of file: FileHandle) throws -> [UInt8] {
            var buffer = ByteBuffer()
            try storage.read(file, at: 0, count: try storage.size(of: file), into: &buffer)
            return [UInt8](buffer.bytes)
        }
    }

    @Test(arguments: DriverKind.allCases)
    func whatIsWrittenIsReadAndMapped(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        let file = try fixture.storage.open(fixture.path("a"), .create)
        // More pieces than one system call takes, some of them empty.
        let content = (0..<9_000).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 2) }
        let block = Outgoing(content)
        var pieces = block.pieces(of: [1, 2, 5])
        pieces.insert(MemoryRegion(address: block.region.address, count: 0), at: 3)
        try fixture.storage.write(file, pieces, at: 0)
        try fixture.storage.write(file, [block.region], at: content.count)
        #expect(try fixture.content(of: file) == content + content)
        let memory = try fixture.storage.map(file, length: content.count * 2)
        let mapped = [UInt8](memory.bytes(content.count..<content.count * 2))
        #expect(mapped == content)
        // A read past the end answers what there is.
        var rest = ByteBuffer()
        try fixture.storage.read(file, at: content.count * 2 - 10, count: 100, into: &rest)
        let restCount = rest.count
        #expect(restCount == 10)
        try fixture.storage.close(file)
        let afterClose = [UInt8](memory.bytes(0..<content.count))
        #expect(afterClose == content, "the mapping outlives the descriptor")
    }

    @Test(arguments: DriverKind.allCases)
    func flushesOfSeveralLogsAreUnderWayAtOnce(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        var files: [FileHandle] = []
        for number in 0..<8 {
            let file = try fixture.storage.open(fixture.path("\(number)"), .create)
            let block = Outgoing("content of \(number)")
            try fixture.storage.write(file, [block.region], at: 0)
            files.append(file)
        }
        let tickets = (0..<8).map { fixture.start(.flush(files: [files[$0], files[($0 + 1) % 8]], directories: $0 % 2 == 0 ? [fixture.directory.path] : [])) }
        let empty = fixture.start(.flush(files: [], directories: []))
        let namesOnly = fixture.start(.flush(files: [], directories: [fixture.directory.path]))
        try fixture.harness.run("flushes") { fixture.harness.storage.count == 10 }
        for ticket in tickets + [empty, namesOnly] { #expect(fixture.harness.storage[ticket]?.isDone == true) }
        for file in files { try fixture.storage.close(file) }
    }

    @Test(arguments: DriverKind.allCases)
    func aFailureNamesOperationPathAndReason(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        let missing = fixture.path("missing")
        let opening = #expect(throws: StorageError.self) { try fixture.storage.open(missing, .readWrite) }
        #expect(opening?.description == "open \(missing): No such file or directory")

        let file = try fixture.storage.open(fixture.path("once"), .create)
        let again = #expect(throws: StorageError.self) { try fixture.storage.open(fixture.path("once"), .create) }
        #expect(again?.code == 17)

        let readOnly = try fixture.storage.open(fixture.path("once"), .read)
        let block = Outgoing("x")
        let writing = #expect(throws: StorageError.self) { try fixture.storage.write(readOnly, [block.region], at: 0) }
        #expect(writing?.operation == "write" && writing?.path == fixture.path("once"))

        // A pipe's end cannot be made durable, a missing directory not opened.
        let pair = try Socket.pair()
        let flushed = try fixture.run(.flush(files: [FileHandle(rawValue: pair.0.descriptor)], directories: [fixture.directory.path]))
        #expect(flushed.error?.operation == "fdatasync" && flushed.error?.code == 22)
        let named = try fixture.run(.flush(files: [file], directories: [missing]))
        #expect(named.error?.path == missing && named.error?.code == 2)
        pair.0.close()
        pair.1.close()
        try fixture.storage.close(file)
        try fixture.storage.close(readOnly)
        #expect(throws: StorageError.self) { try fixture.storage.close(FileHandle(rawValue: 1_000_000)) }
    }

    @Test(arguments: DriverKind.allCases)
    func logsAreMadeReadyManyAtOnceAndFailEachForItself(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        try fixture.storage.makeDirectory(fixture.path("logs"))
        // One of them cannot be: a file stands where its directory should.
        try fixture.storage.close(try fixture.storage.open(fixture.path("logs/13"), .create))
        let tickets = (0..<300).map { number in
            let directory = fixture.path("logs/\(number)")
            var readying = LogReadying(directory: directory, checkpoint: (directory + "/checkpoint", [UInt8]("state \(number)".utf8)))
            readying.makesDirectory = true
            readying.segment = directory + "/0.log"
            return fixture.start(.ready(readying))
        }
        try fixture.harness.run("readied") { fixture.harness.storage.count == 300 }
        for (number, ticket) in tickets.enumerated() {
            let result = fixture.harness.storage[ticket]
            if number == 13 {
                #expect(result?.error?.path == fixture.path("logs/13/checkpoint.new"))
                continue
            }
            guard case .prepared(let file)? = result else {
                Issue.record("\(number): \(String(describing: result))")
                continue
            }
            #expect(try fixture.storage.size(of: file) == 0)
            try fixture.storage.close(file)
            let checkpoint = try fixture.storage.open(fixture.path("logs/\(number)/checkpoint"), .read)
            #expect(try fixture.content(of: checkpoint) == [UInt8]("state \(number)".utf8))
            try fixture.storage.close(checkpoint)
            #expect(try fixture.storage.list(fixture.path("logs/\(number)")).count == 2)
        }
    }

    @Test(arguments: DriverKind.allCases)
    func replacingOneFileTwiceKeepsTheSecond(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        let path = fixture.path("state")
        for number in 0..<20 { _ = fixture.start(.replace(path: path, content: [UInt8](repeating: UInt8(number), count: 100))) }
        try fixture.harness.run("replaced") { fixture.harness.storage.count == 20 }
        for (_, result) in fixture.harness.storage { #expect(result.isDone) }
        let file = try fixture.storage.open(path, .read)
        #expect(try fixture.content(of: file) == [UInt8](repeating: 19, count: 100))
        try fixture.storage.close(file)
    }

    @Test(arguments: DriverKind.allCases)
    func aTornTailIsCutAndZeroedBeforeTheLogIsReady(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        let file = try fixture.storage.open(fixture.path("0.log"), .create)
        let block = Outgoing([UInt8](repeating: 7, count: 10_000))
        try fixture.storage.write(file, [block.region], at: 0)
        try fixture.storage.close(try fixture.storage.open(fixture.path("9.log"), .create))
        var readying = LogReadying(directory: fixture.directory.path, checkpoint: (fixture.path("checkpoint"), [1]))
        readying.cut = (file, 5_000, 4_096)
        readying.stale = [fixture.path("9.log"), fixture.path("gone.log")]
        #expect(try fixture.run(.ready(readying)).isDone)
        #expect(try fixture.content(of: file) == [UInt8](repeating: 7, count: 5_000) + [UInt8](repeating: 0, count: 4_096))
        #expect(Set(try fixture.storage.list(fixture.directory.path).map(\.name)) == ["0.log", "checkpoint"])
        try fixture.storage.close(file)
    }

    @Test(arguments: DriverKind.allCases)
    func aStreamReadsAheadWhatAPlainReadWould(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        let file = try fixture.storage.open(fixture.path("large"), .create)
        let content = (0..<(15 << 20) + 777).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 7) }
        let block = Outgoing(content)
        try fixture.storage.write(file, [block.region], at: 0)
        for start in [0, 1, 4_095, 3 << 20, content.count - 300_000, content.count - 10] {
            let stream = try fixture.storage.stream(file, from: start)
            var buffer = ByteBuffer()
            var at = start
            // Pieces of any size, as batches are.
            for size in [1, 61, 4_096, 1 << 20, 5 << 20, 20 << 20] {
                let before = buffer.count
                try stream.read(at: at, count: size, into: &buffer)
                at += buffer.count - before
            }
            #expect(at == content.count)
            let read = [UInt8](buffer.bytes)
            #expect(read == Array(content[start...]))
            // Anywhere else, too.
            buffer.clear()
            try stream.read(at: 12_345, count: 100, into: &buffer)
            let piece = [UInt8](buffer.bytes)
            #expect(piece == Array(content[12_345..<12_445]))
            buffer.clear()
            try stream.read(at: content.count, count: 10, into: &buffer)
            let isEmpty = buffer.isEmpty
            #expect(isEmpty)
        }
        try fixture.storage.close(file)
    }

    @Test(arguments: DriverKind.allCases)
    func aPreparedFileIsZerosOfItsSizeOrNothing(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        let path = fixture.path("spare")
        let size = 1 << 20 + 100
        guard case .prepared(let file) = try fixture.run(.prepare(path: path, size: size)) else { throw HarnessError(what: "not prepared") }
        #expect(try fixture.content(of: file) == [UInt8](repeating: 0, count: size))

        let refused = try fixture.run(.prepare(path: path, size: size))
        #expect(refused.error?.code == 17, "a file that exists is left alone")
        #expect(try fixture.storage.size(of: file) == size)

        let tooLarge = fixture.path("too-large")
        let full = try fixture.run(.prepare(path: tooLarge, size: 1 << 50))
        #expect(full.error != nil)
        #expect(!FileSystem.exists(tooLarge), "nothing is left of an attempt that failed")

        let sealed = try fixture.run(.seal(file: file, length: 5000))
        #expect(sealed.isDone)
        #expect(try fixture.storage.size(of: file) == 5000)
        try fixture.storage.close(file)
    }

    @Test(arguments: DriverKind.allCases)
    func aReplacedFileIsTheOldOneOrTheNewOne(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        let path = fixture.path("checkpoint")
        for content in ["first", "the second, which is longer", "", "last"] {
            // What a killed process left behind does not stand in the way.
            if !FileSystem.exists(path + ".new") { try File.open(path + ".new", [.readWrite, .exclusive]).close() }
            #expect(try fixture.run(.replace(path: path, content: [UInt8](content.utf8))).isDone)
            let file = try fixture.storage.open(path, .read)
            #expect(try fixture.content(of: file) == [UInt8](content.utf8))
            try fixture.storage.close(file)
        }
        #expect(try fixture.storage.list(fixture.directory.path).map(\.name) == ["checkpoint"])
        let failed = try fixture.run(.replace(path: fixture.path("no/such/place"), content: []))
        #expect(failed.error?.code == 2)
    }

    @Test(arguments: DriverKind.allCases)
    func directoriesAreMadeListedAndRemoved(_ kind: DriverKind) throws {
        let fixture = try Fixture(kind)
        let deep = fixture.path("logs/1-0/index")
        try fixture.storage.makeDirectory(deep)
        try fixture.storage.makeDirectory(deep)
        #expect(try FileSystem.status(of: deep).permissions == 0o700)
        #expect(try fixture.storage.list(fixture.path("nowhere")) == [])
        let file = try fixture.storage.open(deep + "/0.log", .create)
        let block = Outgoing("abc")
        try fixture.storage.write(file, [block.region], at: 0)
        #expect(try fixture.storage.list(deep) == [DirectoryEntry(name: "0.log", size: 3, isDirectory: false)])
        #expect(try fixture.storage.list(fixture.path("logs/1-0")).map(\.isDirectory) == [true])
        try fixture.storage.rename(deep + "/0.log", to: deep + "/1.log")
        #expect(try fixture.run(.remove(files: [file], paths: [deep + "/1.log", deep], directory: fixture.path("logs/1-0"))).isDone)
        #expect(!FileSystem.exists(deep))
        try fixture.storage.remove(fixture.path("logs/1-0"))
        try fixture.storage.remove(fixture.path("logs/1-0"))
        let plain = try fixture.storage.open(fixture.path("plain"), .create)
        try fixture.storage.close(plain)
        #expect(throws: StorageError.self) { try fixture.storage.makeDirectory(fixture.path("plain")) }
        #expect(throws: StorageError.self) { try fixture.storage.makeDirectory(fixture.path("plain/below")) }
    }

    /// Slow work keeps its order, and a driver that goes waits for what was started.
    @Test(arguments: DriverKind.allCases)
    func whatWasStartedIsFinishedWhenTheDriverGoes(_ kind: DriverKind) throws {
        let directory = try TemporaryDirectory()
        do {
            let harness = try DriverHarness(kind)
            for number in 0..<5 {
                let operation = StorageOperation.replace(path: directory.path + "/a", content: [UInt8](repeating: UInt8(number), count: 10))
                harness.driver.storage.start(operation, ticket: StorageTicket(rawValue: UInt64(number)))
            }
        }
        let file = try File.open(directory.path + "/a")
        var buffer = ByteBuffer()
        try file.read(at: 0, count: 100, into: &buffer)
        let content = [UInt8](buffer.bytes)
        #expect(content == [UInt8](repeating: 4, count: 10))
        try file.close()
    }
}

extension StorageResult {
    var isDone: Bool {
        if case .done = self { true } else { false }
    }
    var error: StorageError? {
        if case .failed(let error) = self { error } else { nil }
    }
}
