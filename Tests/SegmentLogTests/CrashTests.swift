// Power loss. The disk keeps what was flushed and an arbitrary part of what was not: of names any, of contents any sectors, of
// lengths any. Whatever it keeps, what was called flushed is there after the restart, and what is there is what was appended.
import Bytes
import Testing

@testable import SegmentLog

@Suite struct CrashTests {
    /// A disk that knows what of it is durable. Flushes take effect when their completion is handed out.
    final class CrashDisk: LogStorage {
        final class Node { var durable: [UInt8] = [] }

        private var live: MemoryStorage
        private var nodes: [Int32: Node] = [:]
        private var names: [String: Node] = [:]
        private var durableNames: [String: Node] = [:]
        private var flushes: [UInt64: ([(Node, [UInt8])], names: [String: Node]?)] = [:]
        private var completed: [(StorageTicket, StorageResult)] = []
        var isEmpty: Bool { completed.isEmpty }

        init() { live = MemoryStorage(isVolatile: false) }

        func makeDirectory(_ path: String) throws(StorageError) { try live.makeDirectory(path) }
        func list(_ directory: String) throws(StorageError) -> [DirectoryEntry] { try live.list(directory) }
        func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> FileHandle {
            let file = try live.open(path, mode)
            if mode == .create { names[path] = Node() }
            nodes[file.rawValue] = names[path]
            return file
        }
        func close(_ file: FileHandle) throws(StorageError) { try live.close(file) }
        func size(of file: FileHandle) throws(StorageError) -> Int { try live.size(of: file) }
        func read(_ file: FileHandle, at position: Int, count: Int, into buffer: inout ByteBuffer) throws(StorageError) {
            try live.read(file, at: position, count: count, into: &buffer)
        }
        func write(_ file: FileHandle, _ pieces: [MemoryRegion], at position: Int) throws(StorageError) { try live.write(file, pieces, at: position) }
        func map(_ file: FileHandle, length: Int) throws(StorageError) -> SegmentMemory { try live.map(file, length: length) }
        func truncate(_ file: FileHandle, to length: Int) throws(StorageError) { try live.truncate(file, to: length) }
        func rename(_ path: String, to newPath: String) throws(StorageError) {
            try live.rename(path, to: newPath)
            names[newPath] = names.removeValue(forKey: path)
        }
        func remove(_ path: String) throws(StorageError) {
            try live.remove(path)
            names[path] = nil
        }
        func sync(_ file: FileHandle) throws(StorageError) { nodes[file.rawValue]?.durable = try content(file) }
        func syncDirectory(_ path: String) throws(StorageError) { durableNames = names }
        func dropCache(_ file: FileHandle) {}

        private func content(_ file: FileHandle) throws(StorageError) -> [UInt8] {
            var buffer = ByteBuffer()
            try live.read(file, at: 0, count: try live.size(of: file), into: &buffer)
            return [UInt8](buffer.bytes)
        }

        func start(_ operation: StorageOperation, ticket: StorageTicket) {
            do throws(StorageError) {
                var result = StorageResult.done
                switch operation {
                case .flush(let files, let directories):
                    var contents: [(Node, [UInt8])] = []
                    for file in files { if let node = nodes[file.rawValue] { contents.append((node, try content(file))) } }
                    flushes[ticket.rawValue] = (contents, directories.isEmpty ? nil : names)
                case .prepare(let path, let size):
                    let file = try open(path, .create)
                    try truncate(file, to: size)
                    try sync(file)
                    result = .prepared(file)
                case .seal(let file, let length):
                    try truncate(file, to: length)
                    try sync(file)
                case .replace(let path, let bytes):
                    try? remove(path)
                    let file = try open(path, .create)
                    try write(file, bytes)
                    try sync(file)
                    try close(file)
                    // Atomic, and durable at once.
                    durableNames[path] = names[path]
                case .load: break
                case .ready: preconditionFailure("this disk readies nothing in the background")
                case .remove(let files, let paths, _):
                    for file in files { try close(file) }
                    for path in paths { try? remove(path) }
                case .compact(let step): result = .compacted(step.run(on: self) { _ in })
                }
                completed.append((ticket, result))
            } catch {
                completed.append((ticket, .failed(error)))
            }
        }

        func nextCompletion() -> (StorageTicket, StorageResult)? {
            guard !completed.isEmpty else { return nil }
            let next = completed.removeFirst()
            if let (contents, directory) = flushes.removeValue(forKey: next.0.rawValue) {
                for (node, bytes) in contents { node.durable = bytes }
                // What has changed since the flush began is none of its business.
                for (path, node) in directory ?? [:] where names[path] === node { durableNames[path] = node }
                if let directory { durableNames = durableNames.filter { names[$0.key] === $0.value || directory[$0.key] != nil } }
            }
            return next
        }

        /// Loses what was not flushed, but not all of it.
        func crash(_ random: inout Seeded, directory: String) throws {
            let disk = MemoryStorage(isVolatile: false)
            try disk.makeDirectory(directory)
            var kept: [String: Node] = [:]
            for path in Set(names.keys).union(durableNames.keys).sorted() {
                let (now, then) = (names[path], durableNames[path])
                let node = now === then ? now : Bool.random(using: &random) ? now : then
                guard let node else { continue }
                var bytes = node.durable
                if node === now, let file = try? live.open(path, .read) {
                    let current = try content(file)
                    let lengths = min(bytes.count, current.count)...max(bytes.count, current.count)
                    let length = Bool.random(using: &random) ? current.count : Int.random(in: lengths, using: &random)
                    bytes += [UInt8](repeating: 0, count: max(0, length - bytes.count))
                    bytes.removeLast(bytes.count - length)
                    for sector in stride(from: 0, to: length, by: 512) where Bool.random(using: &random) {
                        let range = sector..<min(sector + 512, length, current.count)
                        if range.lowerBound < range.upperBound { bytes.replaceSubrange(range, with: current[range]) }
                    }
                }
                try disk.put(bytes, path)
                let fresh = Node()
                fresh.durable = bytes
                kept[path] = fresh
            }
            live = disk
            names = kept
            durableNames = kept
            nodes = [:]
            flushes = [:]
            completed = []
        }
    }

    @Test(arguments: 0..<60) func whatWasFlushedSurvivesPowerLoss(_ seed: Int) throws {
        var random = Seeded(seed + 1_000)
        let disk = CrashDisk()
        var options = small([Durability.group, .each, .none, .interval][seed % 4])
        options.segmentBytes = Int.random(in: 2_000...9_000, using: &random)
        let bench = try Bench(options, storage: disk)
        var texts: [String] = []
        var incarnation: Int32 = 0
        for life in 0..<12 {
            for step in 0..<Int.random(in: 1...60, using: &random) {
                let size = Int.random(in: 0...600, using: &random)
                if Bool.random(using: &random) {
                    let text = "\(life).\(step) " + String(repeating: "m", count: size)
                    try bench.append(text)
                    texts.append(text)
                } else {
                    let more = (0..<3).map { "\(life).\(step).\($0) " + String(repeating: "b", count: size) }
                    try bench.append(batch: batch(more))
                    texts += more
                }
                if Int.random(in: 0..<3, using: &random) > 0 { bench.log.endTick(now: bench.now) }
                if Int.random(in: 0..<20, using: &random) == 0 { bench.log.applyRetention(floor: bench.log.watermarks.flushed, now: bench.now) }
                bench.pass(milliseconds: Int64.random(in: 0...300, using: &random))
                for _ in 0..<Int.random(in: 0...2, using: &random) {
                    if let (ticket, result) = disk.nextCompletion() { _ = bench.log.storageCompleted(ticket, result, now: bench.now) }
                }
            }
            #expect(bench.log.fault == nil)
            let flushed = bench.log.watermarks.flushed
            let start = bench.log.watermarks.start
            try disk.crash(&random, directory: "logs/1-0")
            try bench.reopen()
            let found = bench.log.watermarks
            #expect(found.end >= flushed, "life \(life)")
            #expect(found.end <= Offset(Int64(texts.count)))
            #expect(found.start <= start)
            texts.removeLast(texts.count - Int(found.end.rawValue))
            let all = try bench.texts()
            #expect(all.map(\.0) == Array(found.start.rawValue..<found.end.rawValue), "life \(life)")
            #expect(all.map(\.1) == Array(texts[Int(found.start.rawValue)...]), "life \(life)")
            #expect(bench.log.incarnation >= incarnation)
            incarnation = bench.log.incarnation
        }
    }
}
