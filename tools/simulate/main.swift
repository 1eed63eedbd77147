import Glibc
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
//     simulate group 0..2000           groups of consumers with their offsets, through crashes; also with `shards`
//     simulate shard 0..2000           a whole shard with native clients, through crashes and broken connections

let arguments = CommandLine.arguments.dropFirst()
guard arguments.count >= 2, let kind = arguments.first, let seeds = parseSeeds(arguments.dropFirst().first ?? "") else {
    print("usage: simulate log|broker|group|shard SEED|FIRST..LAST [errors] [damage] [shards] [trace] [sabotage=NAME]")
    exit(2)
}
let words = Set(arguments.dropFirst(2))
let sabotage = words.compactMap { $0.hasPrefix("sabotage=") ? Sabotage(rawValue: String($0.dropFirst(9))) : nil }.first

switch kind {
case "log": run(LogWorkload.run)
case "broker": run(BrokerWorkload.run)
case "group": run(GroupWorkload.run)
case "shard": run(ShardWorkload.run)
default:
    print("unknown workload: \(kind)")
    exit(2)
}

func run(_ workload: (Seed, LogWorkload.Profile) -> LogWorkload.Report) {
    var profile = LogWorkload.Profile(errors: words.contains("errors"), damage: words.contains("damage"), sabotage: sabotage)
    if words.contains("shards") { profile.shards = 1...3 }
    profile.keepsTrace = words.contains("trace")
    var failed = 0
    var crashes = 0
    var recoveries = 0
    var appended = 0
    var refusals = 0
    var failedLogs = 0
    var setAside = 0
    for seed in seeds {
        let report = workload(Seed(seed), profile)
        crashes += report.crashes
        recoveries += report.recoveries
        appended += report.appended
        refusals += report.refusals
        failedLogs += report.failedLogs
        setAside += report.setAside
        if report.violation != nil {
            failed += 1
            if failed <= 20 { print(report.text) }
        } else if seeds.count == 1 {
            print(report.text)
        }
    }
    print(
        "\(seeds.count) seeds: \(failed) failed; \(appended) messages, \(crashes) power cuts, \(recoveries) recoveries, \(failedLogs) failed logs, "
            + "\(refusals) refusals of damaged logs, \(setAside) messages set aside")
    exit(failed == 0 ? 0 : 1)
}

func parseSeeds(_ text: String) -> Range<UInt64>? {
    if let one = UInt64(text) { return one..<one + 1 }
    let ends = text.split(separator: ".", omittingEmptySubsequences: true).compactMap { UInt64($0) }
    guard ends.count == 2, ends[0] < ends[1] else { return nil }
    return ends[0]..<ends[1]
}
