import Testing

@testable import ShardRuntime

/// Goal: the doctor says what to do where there is something to do, and nothing else. Method: machines and settings in, names out.
@Suite struct TuningAdviceTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var machine = MachineFacts()
        var settings = TuningAdvice.Settings()
        var expected: [String: Diagnosis.Verdict] = [:]

        init(_ name: String, _ expected: [String: Diagnosis.Verdict] = [:], _ adjust: (inout MachineFacts, inout TuningAdvice.Settings) -> Void) {
            testDescription = name
            machine.cores = 2
            machine.openFiles = 1_048_576
            machine.waitingConnections = 4_096
            self.expected = expected
            adjust(&machine, &settings)
        }
    }

    static let cases: [Case] = [
        Case("defaults on two cores") { _, _ in },
        Case("20,000 descriptors, nobody asked for connections") { machine, _ in machine.openFiles = 20_000 },
        Case("20,000 descriptors, 20,000 connections asked for", ["limits.connections": .warning]) { machine, settings in
            machine.openFiles = 20_000
            settings.connections = 20_000
        },
        Case("more logs than descriptors for them", ["logs": .warning]) { machine, settings in (machine.openFiles, settings.logs) = (20_000, 5_001) },
        Case("as many connections as there is room for") { machine, settings in
            machine.openFiles = 20_000
            settings.connections = 15_000
        },
        Case("cores to spare", ["wait": .hint]) { machine, _ in machine.cores = 8 },
        Case("cores to spare, but not of the group's time", ["shards": .warning]) { machine, settings in
            (machine.cores, machine.quota) = (8, 1.5)
            settings.shards = 8
        },
        Case("a group with as much time as shards") { machine, settings in
            (machine.cores, machine.quota) = (8, 2.5)
            settings.shards = 3
        },
        Case("adaptive with cores to spare") { machine, settings in (machine.cores, settings.wait) = (8, .adaptive) },
        Case("adaptive without", ["wait": .hint]) { machine, settings in (machine.cores, settings.wait) = (1, .adaptive) },
        Case("spin without", ["wait": .warning]) { machine, settings in (machine.cores, settings.wait, settings.shards) = (4, .spin, 4) },
        Case("spin in a small group", ["wait": .warning]) { machine, settings in (machine.cores, machine.quota, settings.wait) = (8, 1.5, .spin) },
        Case("pinned beyond the cores", ["shards": .warning]) { machine, settings in (settings.pins, settings.shards) = (true, 3) },
        Case("a slow governor", ["frequency": .hint]) { machine, _ in (machine.frequencyGovernor, machine.frequencyDriver) = ("powersave", "acpi-cpufreq") },
        Case("one that is slow by name only") { machine, _ in (machine.frequencyGovernor, machine.frequencyDriver) = ("powersave", "intel_pstate") },
        Case("deep sleep", ["idle states": .hint]) { machine, _ in machine.idleMicroseconds = 133 },
        Case("shallow sleep") { machine, _ in machine.idleMicroseconds = 10 },
        Case("deep sleep that nobody sleeps") { machine, settings in (machine.idleMicroseconds, settings.wait) = (133, .adaptive) },
        Case("gathering while spinning", ["min_wait": .warning]) { machine, settings in (settings.gathers, settings.wait) = (true, .spin) },
        Case("gathering on epoll", ["min_wait": .warning]) { _, settings in (settings.gathers, settings.driver) = (true, .epoll) },
        Case("gathering on an old kernel", ["min_wait": .warning]) { machine, settings in (settings.gathers, machine.canGather) = (true, false) },
        Case("gathering") { _, settings in settings.gathers = true },
        Case("a short queue of connections", ["net.core.somaxconn": .hint]) { machine, _ in machine.waitingConnections = 128 },
    ]

    @Test(arguments: cases)
    func itSaysWhatToDoAndNothingElse(_ one: Case) {
        let rows = TuningAdvice(one.machine, one.settings).rows
        let found = Dictionary(rows.map { ($0.name, $0.verdict) }, uniquingKeysWith: { $1 })
        #expect(found == one.expected)
        for row in rows { #expect(!row.note.isEmpty) }
    }

    @Test(
        arguments: [
            ("0::/\n", ["/cpu.max": "150000 100000\n"], 1.5), ("0::/a/b\n", ["/a/cpu.max": "50000 100000", "/a/b/cpu.max": "max 100000"], 0.5),
            ("0::/\n", ["/cpu.max": "max 100000\n"], nil), ("0::/\n", [:], nil), ("", [:], nil),
            ("5:memory:/x\n4:cpu,cpuacct:/d\n", ["/cpu/d/cpu.cfs_quota_us": "200000\n", "/cpu/d/cpu.cfs_period_us": "100000\n"], 2),
            ("4:cpu,cpuacct:/d\n", ["/cpu/d/cpu.cfs_quota_us": "-1\n", "/cpu/d/cpu.cfs_period_us": "100000\n"], nil),
            ("0::/\n", ["/cpu.max": "rubbish"], nil), ("0::/\n", ["/cpu.max": "1 0"], nil),
        ] as [(String, [String: String], Double?)])
    func theGroupsLimitIsFound(_ groups: String, _ files: [String: String], expected: Double?) {
        #expect(MachineFacts.quota(groups: groups) { files[$0] } == expected)
    }

    @Test func idleStatesThatAreOffDoNotCount() {
        let files = ["state0/latency": "0", "state1/latency": "2\n", "state1/disable": "0\n", "state2/latency": "133\n", "state2/disable": "1\n"]
        #expect(MachineFacts.idleMicroseconds { files[$0] } == 2)
        #expect(MachineFacts.idleMicroseconds { _ in nil } == nil)
    }

    @Test(arguments: [("flags\t\t: fpu hypervisor lahf_lm", true), ("flags : fpu\nmodel: hypervisor", false), ("", false)])
    func aVirtualMachineIsKnownByItsProcessor(_ text: String, expected: Bool) { #expect(MachineFacts.isVirtual(text) == expected) }

    @Test func thisMachineIsRead() {
        let here = MachineFacts.here
        #expect(here.cores >= 1 && here.openFiles > 0)
    }
}
