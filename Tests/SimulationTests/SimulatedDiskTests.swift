import Bytes
import SegmentLog
import Testing

@testable import Simulation

/// The simulated disk promises what a real one does and no more. Each claim is looked at over many seeds: what must hold holds in
/// all of them, what may happen happens in some.
@Suite struct SimulatedDiskTests {
    @Test func flushedBytesSurviveEveryCrash() throws {
        for seed in 0..<200 {
            let disk = crashingDisk(seed)
            let file = try disk.made("logs/1-0/a")
            try disk.put(file, text(3_000), at: 0)
            try disk.sync(file)
            try disk.syncDirectory("logs/1-0")
            try disk.put(file, text(3_000, salt: 1), at: 3_000)
            disk.crash()
            let content = try #require(disk.content("logs/1-0/a"))
            #expect(content.prefix(3_000) == text(3_000)[...])
            #expect(content == disk.durableContent("logs/1-0/a"))
        }
    }

    @Test func unflushedSectorsAreOldOrNewEachForItself() throws {
        var pictures: Set<[Bool]> = []
        for seed in 0..<300 {
            let disk = SimulatedDisk(seed: Seed(UInt64(seed)))
            disk.faults.writeback = 0
            let file = try disk.made("d/a")
            try disk.put(file, [UInt8](repeating: 1, count: 4 * 512), at: 0)
            try disk.sync(file)
            try disk.syncDirectory("d")
            try disk.put(file, [UInt8](repeating: 2, count: 4 * 512), at: 0)
            disk.crash()
            let content = try #require(disk.content("d/a"))
            #expect(content.count == 4 * 512)
            var picture: [Bool] = []
            for sector in 0..<4 {
                let bytes = content[sector * 512..<(sector + 1) * 512]
                #expect(bytes.allSatisfy { $0 == bytes.first })
                picture.append(bytes.first == 2)
            }
            pictures.insert(picture)
        }
        #expect(pictures.count == 16)
    }

    @Test func garbageNeverTakesWhatWasDurable() throws {
        var sawGarbage = false
        for seed in 0..<300 {
            let disk = SimulatedDisk(seed: Seed(UInt64(seed)))
            disk.faults.garbage = 0.5
            let file = try disk.made("d/a")
            try disk.put(file, text(700), at: 0)
            try disk.sync(file)
            try disk.syncDirectory("d")
            try disk.put(file, text(2_000, salt: 9), at: 700)
            disk.crash()
            let content = try #require(disk.content("d/a"))
            #expect(content.prefix(700) == text(700)[...])
            let new = text(2_000, salt: 9)
            for (index, byte) in content.enumerated() where index >= 1_024 && byte != 0 && byte != new[index - 700] { sawGarbage = true }
        }
        #expect(sawGarbage)
    }

    @Test func aNameIsDurableOnlyAfterItsDirectory() throws {
        var outcomes: Set<Bool> = []
        for seed in 0..<50 {
            let disk = crashingDisk(seed)
            let file = try disk.made("d/a")
            try disk.put(file, text(10), at: 0)
            try disk.sync(file)
            disk.crash()
            outcomes.insert(disk.content("d/a") != nil)
            if let content = disk.content("d/a") { #expect(content == text(10)) }
        }
        #expect(outcomes == [true, false])
    }

    @Test func aRenameIsOldOrNewAndNeverBoth() throws {
        var outcomes: Set<[String]> = []
        for seed in 0..<100 {
            let disk = crashingDisk(seed)
            _ = try disk.made("d/a")
            try disk.syncDirectory("d")
            try disk.rename("d/a", to: "d/b")
            disk.crash()
            outcomes.insert(disk.paths)
        }
        #expect(outcomes == [["d/a"], ["d/b"]])
    }

    @Test func aReplacedFileIsOldOrNewAtEveryCrash() throws {
        var outcomes: Set<UInt8> = []
        for seed in 0..<400 {
            let disk = crashingDisk(seed)
            try disk.makeDirectory("d")
            disk.start(.replace(path: "d/c", content: [UInt8](repeating: 1, count: 900)), ticket: StorageTicket(rawValue: 1))
            _ = disk.drain()
            disk.start(.replace(path: "d/c", content: [UInt8](repeating: 2, count: 1_300)), ticket: StorageTicket(rawValue: 2))
            disk.crash(afterChanges: 1 + seed % 6)
            let ended = disk.drain()
            disk.crash()
            let content = try #require(disk.content("d/c"))
            #expect(content == [UInt8](repeating: 1, count: 900) || content == [UInt8](repeating: 2, count: 1_300))
            if let first = content.first { outcomes.insert(first) }
            if !ended.isEmpty { #expect(content.first == 2) }
        }
        #expect(outcomes == [1, 2])
    }

    @Test func afterAFailedFlushTheNextOneSucceedsAndLies() throws {
        var lies = 0
        for seed in 0..<50 {
            let disk = SimulatedDisk(seed: Seed(UInt64(seed)))
            let file = try disk.made("d/a")
            try disk.syncDirectory("d")
            disk.faults.writeback = 0
            try disk.put(file, text(600), at: 0)
            disk.fail(atCall: 1, sticky: false)
            #expect(throws: StorageError.self) { try disk.sync(file) }
            try disk.sync(file)
            #expect(disk.content("d/a") == text(600))
            disk.dropCache(file)
            let truth = try #require(disk.content("d/a"))
            if truth != text(600) { lies += 1 }
        }
        #expect(lies > 25)
    }

    @Test func aMappedFileKeepsItsPages() throws {
        let disk = SimulatedDisk(seed: Seed(4))
        disk.faults.writeback = 0
        let file = try disk.made("d/a")
        try disk.put(file, text(600), at: 0)
        let map = try disk.map(file, length: 2_000)
        disk.fail(atCall: 1, sticky: false)
        #expect(throws: StorageError.self) { try disk.sync(file) }
        disk.dropCache(file)
        #expect([UInt8](map.bytes(0..<600)) == text(600))
        try disk.put(file, text(200, salt: 3), at: 600)
        #expect([UInt8](map.bytes(600..<800)) == text(200, salt: 3))
        // Behind the end a real mapping kills the process; here it shows what nobody wrote.
        #expect([UInt8](map.bytes(800..<1_000)) == [UInt8](repeating: 0xde, count: 200))
    }

    @Test func theEndOfTheProcessKeepsThePageCache() throws {
        for seed in 0..<50 {
            let disk = crashingDisk(seed)
            let file = try disk.made("d/a")
            try disk.put(file, text(5_000), at: 0)
            disk.kill()
            #expect(disk.content("d/a") == text(5_000))
            #expect(disk.openFiles == 0)
            #expect(throws: StorageError.self) { try disk.size(of: file) }
        }
    }

    @Test func aCutFileIsWholeOrCut() throws {
        var sizes: Set<Int> = []
        for seed in 0..<100 {
            let disk = crashingDisk(seed)
            let file = try disk.made("d/a")
            try disk.put(file, text(2_000), at: 0)
            try disk.sync(file)
            try disk.syncDirectory("d")
            try disk.truncate(file, to: 1_024)
            disk.crash()
            let content = try #require(disk.content("d/a"))
            #expect(content.prefix(1_024) == text(1_024)[...])
            sizes.insert(content.count)
        }
        #expect(sizes == [1_024, 2_000])
    }

    @Test func aFullDiskRefusesAndLetsGoAgain() throws {
        let disk = SimulatedDisk(seed: Seed(1))
        disk.faults.capacity = 4_000
        let file = try disk.made("d/a")
        try disk.put(file, text(3_000), at: 0)
        let other = try disk.made("d/b")
        let failure = #expect(throws: StorageError.self) { try disk.put(other, text(2_000), at: 0) }
        #expect(failure?.code == 28)
        disk.faults.capacity = nil
        try disk.put(other, text(2_000), at: 0)
    }

    @Test func powerCanGoInTheMiddleOfACall() throws {
        let disk = SimulatedDisk(seed: Seed(2))
        let file = try disk.made("d/a")
        try disk.syncDirectory("d")
        disk.crash(afterChanges: 1)
        #expect(throws: StorageError.self) { try disk.put(file, text(3_000), at: 0) }
        #expect(disk.isDown)
        #expect(throws: StorageError.self) { try disk.sync(file) }
        #expect(throws: StorageError.self) { try disk.open("d/a", .read) }
        disk.start(.flush(files: [file], directories: []), ticket: StorageTicket(rawValue: 1))
        #expect(disk.drain().isEmpty)
        disk.restart()
        let again = try disk.open("d/a", .readWrite)
        #expect(try disk.size(of: again) <= 3_000)
    }

    @Test func backgroundOperationsEndInAnyOrderAndDoWhatTheySay() throws {
        var orders: Set<[UInt64]> = []
        for seed in 0..<50 {
            let disk = crashingDisk(seed)
            disk.faults.slow = 0
            let sealed = try disk.made("d/sealed")
            try disk.put(sealed, text(5_000), at: 0)
            let gone = try disk.made("d/gone")
            disk.start(.prepare(path: "d/spare", size: 4_096), ticket: StorageTicket(rawValue: 1))
            disk.start(.seal(file: sealed, length: 4_500), ticket: StorageTicket(rawValue: 2))
            disk.start(.remove(files: [gone], paths: ["d/gone"], directory: "d"), ticket: StorageTicket(rawValue: 3))
            let ended = disk.drain()
            orders.insert(ended.map(\.ticket.rawValue))
            #expect(ended.count == 3)
            for (ticket, result) in ended where ticket.rawValue == 1 {
                guard case .prepared(let spare) = result else {
                    Issue.record("no handle: \(result)")
                    continue
                }
                try disk.put(spare, text(10), at: 0)
            }
            try disk.syncDirectory("d")
            disk.crash()
            #expect(disk.content("d/sealed") == text(4_500))
            #expect(disk.content("d/spare")?.count == 4_096)
            #expect(disk.content("d/gone") == nil)
        }
        #expect(orders.count > 3)
    }

    @Test func aStuckOperationNeverEnds() throws {
        let disk = SimulatedDisk(seed: Seed(5))
        disk.faults.stuck = 1
        let file = try disk.made("d/a")
        disk.start(.flush(files: [file], directories: ["d"]), ticket: StorageTicket(rawValue: 1))
        #expect(disk.drain().isEmpty)
        #expect(disk.pendingOperations == 1)
    }

    @Test func theSameSeedGivesTheSameTrace() throws {
        func run(_ seed: UInt64) throws -> (UInt64, [UInt8]?) {
            var random = Seed(seed).stream("work")
            let disk = SimulatedDisk(seed: Seed(seed), faults: .swarm(&random))
            var ticket: UInt64 = 0
            try? disk.makeDirectory("d")
            for round in 0..<30 {
                guard let file = try? disk.open("d/\(round)", .create) else { continue }
                for _ in 0..<5 { try? disk.put(file, text(random.mostlySmall(3_000)), at: random.below(4_000)) }
                ticket += 1
                disk.start(.flush(files: [file], directories: ["d"]), ticket: StorageTicket(rawValue: ticket))
                _ = disk.completions(at: disk.now.advanced(byNanoseconds: 100_000))
                if random.chance(0.1) { disk.crash() }
                _ = try? disk.list("d")
            }
            return (disk.trace.hash, disk.paths.last.flatMap { disk.content($0) })
        }
        var hashes: Set<UInt64> = []
        for seed in 0..<20 {
            let first = try run(UInt64(seed))
            let second = try run(UInt64(seed))
            #expect(first == second)
            hashes.insert(first.0)
        }
        #expect(hashes.count == 20)
    }

    private func crashingDisk(_ seed: Int) -> SimulatedDisk {
        var random = Seed(UInt64(seed)).stream("test")
        return SimulatedDisk(seed: Seed(UInt64(seed)), faults: .crashesOnly(&random))
    }

    /// Bytes that differ from place to place, never zero.
    private func text(_ count: Int, salt: Int = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for index in 0..<count { bytes.append(UInt8(1 + (index + salt * 31) % 251)) }
        return bytes
    }
}

extension SimulatedDisk {
    /// A new file, its directory with it.
    func made(_ path: String) throws -> FileHandle {
        try makeDirectory(Path.split(path).directory)
        return try open(path, .create)
    }

    func put(_ file: FileHandle, _ bytes: [UInt8], at position: Int) throws(StorageError) {
        defer { withExtendedLifetime(bytes) {} }
        try write(file, [bytes.rawSpan.region], at: position)
    }
}
