import Glibc
import Mutants
import ShardWorkload
import Simulation

// Runs seeds of a simulated workload and prints those that break a promise. See docs/reliability.md.
//
//     simulate log 0..20000            crashes
//     simulate log 0..20000 errors     crashes and errors of the disk
//     simulate log 0..20000 damage     bit flips and lost sectors in durable data
//     simulate log 51 trace            one seed, with the last events before its end
//     simulate log 0..300 sabotage=skipsSomeFlushes
//     simulate broker 0..2000          a queue with its consumers, through crashes
//     simulate broker 0..2000 shards   the same in one to three shards, another number in each life
//     simulate broker 0..200 day       a day in each seed: leases, retention, and clocks that jump by years
//     simulate group 0..2000           groups of consumers with their offsets, through crashes; also with `shards`
//     simulate shard 0..2000           a whole shard with native clients, through crashes and broken connections
//     simulate shard 0..2000 hostile   the same beside peers that send whatever they like, in both protocols
//     simulate kafka 0..2000           the same with Kafka's sessions: idempotent producers, readers, committed offsets; also with `shards`
//     simulate segments 0..4           every single damage of a log of 64 KiB, about a million recoveries; `bytes=4096 every=10` for less
//     simulate log 0..300 mutant=flushesNoNames first
//                                      with a seeded bug (debug builds have them), up to the first seed that finds it

let arguments = CommandLine.arguments.dropFirst()
guard arguments.count >= 2, let kind = arguments.first, let seeds = parseSeeds(arguments.dropFirst().first ?? "") else {
    print(
        "usage: simulate log|broker|group|shard|kafka|segments SEED|FIRST..LAST [errors] [damage] [shards] [day] [trace] [first] "
            + "[sabotage=NAME] [mutant=NAME]")
    exit(2)
}
let words = Set(arguments.dropFirst(2))
let sabotage = named("sabotage").map { name in
    guard let found = Sabotage(rawValue: name) else {
        print("no sabotage is called \(name)")
        exit(2)
    }
    return found
}
let mutant = named("mutant")
if mutant != nil, !Mutant.areThere {
    print("this build has no seeded bugs: build it for debugging")
    exit(2)
}

switch kind {
case "log": run(LogWorkload.run)
case "broker": run(BrokerWorkload.run)
case "group": run(GroupWorkload.run)
case "shard": run(ShardWorkload.run)
case "kafka": run(KafkaWorkload.run)
case "segments": runSegments()
default:
    print("unknown workload: \(kind)")
    exit(2)
}

func named(_ name: String) -> String? { words.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) } }

func run(_ workload: (Seed, LogWorkload.Profile) -> LogWorkload.Report) {
    var profile = LogWorkload.Profile(errors: words.contains("errors"), damage: words.contains("damage"), sabotage: sabotage)
    if words.contains("shards") { profile.shards = 1...3 }
    profile.isLong = words.contains("day")
    profile.keepsTrace = words.contains("trace")
    profile.hostile = words.contains("hostile")
    var failed = 0
    var replayed = 0
    var crashes = 0
    var recoveries = 0
    var appended = 0
    var refusals = 0
    var failedLogs = 0
    var setAside = 0
    var seconds: UInt64 = 0
    var sequences = 0
    for seed in seeds {
        var report = Mutant.with(mutant) { workload(Seed(seed), profile) }
        // Every tenth is run again: the same seed is the same run, event by event.
        if seed % 10 == 0, report.violation == nil {
            replayed += 1
            let again = Mutant.with(mutant) { workload(Seed(seed), profile) }
            if again.hash != report.hash { report.violation = Violation(.unstableRun, "the trace is \(report.hash), then \(again.hash)") }
        }
        crashes += report.crashes
        recoveries += report.recoveries
        appended += report.appended
        refusals += report.refusals
        failedLogs += report.failedLogs
        setAside += report.setAside
        seconds += report.nanoseconds / 1_000_000_000
        sequences += report.sequences
        if report.violation != nil {
            failed += 1
            if failed <= 20 { print(report.text) }
            if words.contains("first") { break }
        } else if seeds.count == 1 {
            print(report.text)
        }
    }
    print(
        "\(seeds.count) seeds, \(replayed) of them twice: \(failed) failed; \(appended) messages, \(crashes) power cuts, \(recoveries) recoveries, "
            + "\(failedLogs) failed logs, \(refusals) refusals of damaged logs, \(setAside) messages set aside; "
            + "\(seconds / 3_600) hours simulated" + (profile.hostile ? ", \(sequences) hostile sequences" : ""))
    exit(failed == 0 ? 0 : 1)
}

func runSegments() {
    var failed = 0
    var total = SegmentWorkload.Report(seed: Seed(0))
    for seed in seeds {
        let report = Mutant.with(mutant) {
            SegmentWorkload.run(Seed(seed), bytes: named("bytes").flatMap { Int($0) } ?? 64 << 10, every: named("every").flatMap { Int($0) } ?? 1)
        }
        total.add(report)
        if report.violation != nil { failed += 1 }
        print(report.text)
        if failed > 0, words.contains("first") { break }
    }
    print(
        "\(seeds.count) logs: \(failed) failed; \(total.recoveries) recoveries: \(total.whole) whole, \(total.cut) cut, \(total.refused) refused; "
            + "\(total.told) damages told by reading, \(total.continued) logs went on")
    exit(failed == 0 ? 0 : 1)
}

func parseSeeds(_ text: String) -> Range<UInt64>? {
    if let one = UInt64(text) { return one..<one + 1 }
    let ends = text.split(separator: ".", omittingEmptySubsequences: true).compactMap { UInt64($0) }
    guard ends.count == 2, ends[0] < ends[1] else { return nil }
    return ends[0]..<ends[1]
}
