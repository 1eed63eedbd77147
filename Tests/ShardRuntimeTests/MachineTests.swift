import LinuxSystem
import SegmentLog
import Testing

@testable import ShardRuntime

@Suite struct MachineTests {
    @Test func aDataDirectoryIsHeldByOneAtATime() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/data"
        do {
            let held = try DataDirectory.lock(path)
            #expect(try FileSystem.status(of: path).permissions == 0o700)
            let refused = #expect(throws: StorageError.self) { try DataDirectory.lock(path) }
            #expect(refused?.reason.contains("process \(SystemLimits.processID) is using it") == true)
            withExtendedLifetime(held) {}
        }
        _ = try DataDirectory.lock(path)
    }

    @Test func aDataDirectoryThatOthersMayWriteIsRefused() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/open"
        try FileSystem.makeDirectory(path)
        try FileSystem.setPermissions(path, 0o777)
        #expect(throws: StorageError.self) { try DataDirectory.lock(path) }
        let file = directory.path + "/file"
        try File.open(file, [.readWrite, .exclusive]).close()
        #expect(throws: StorageError.self) { try DataDirectory.lock(file) }
    }

    @Test(arguments: DriverChoice.allCases)
    func theChosenDriverSaysWhy(_ choice: DriverChoice) throws {
        let (driver, reason) = try makeDriver(choice)
        #expect(reason.hasPrefix(driver.name + ": "))
        if choice != .auto { #expect(driver.name == choice.rawValue) }
    }

    @Test func theDiagnosisJudgesEverythingItNames() {
        let diagnosis = Diagnosis(dataDirectory: "/tmp/does/not/exist/yet")
        let names = Set(diagnosis.rows.map(\.name))
        for expected in ["kernel", "driver", "open files", "locked memory", "file system", "free space", "congestion control", "cores", "checksums"] {
            #expect(names.contains(expected), "\(expected)")
        }
        for row in diagnosis.rows where row.verdict != .good { #expect(!row.note.isEmpty, "\(row.name)") }
    }
}
