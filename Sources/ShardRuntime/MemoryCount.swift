internal import Synchronization

/// What all shards use of the memory that `limits.memory` allows the process.
package final class MemoryCount: Sendable {
    private let bytes = Atomic<Int>(0)

    package init() {}

    /// A shard uses `now` where it used `before`. Answers what all use.
    func change(from before: Int, to now: Int) -> Int {
        before == now ? bytes.load(ordering: .relaxed) : bytes.wrappingAdd(now &- before, ordering: .relaxed).newValue
    }
}
