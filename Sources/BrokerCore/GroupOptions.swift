/// How groups of consumers behave.
package struct GroupOptions: Sendable, Equatable {
    /// How long a group without members waits for more of them after the first has come, and again after each that comes meanwhile.
    ///
    /// Kafka waits 3 s. Members that start together come within some ten milliseconds, and programs that join a group only to set its
    /// offsets, or tests, should not stand still for seconds; who starts its members one by one pays one rebalance more. 0: not at all.
    package var initialRebalanceMilliseconds: UInt64 = 100
    /// What members may ask for as the time within which they must be heard of.
    package var sessionTimeoutMilliseconds: ClosedRange<Int64> = 6_000...1_800_000
    /// How long offsets are kept after the last member has left, or where there never was one, after they were committed.
    package var offsetsRetentionMilliseconds: Int64 = 7 * 24 * 3_600_000
    /// A group that keeps nothing is forgotten after so long.
    package var idleMilliseconds: Int64 = 600_000

    /// A member that has not been answered yet cannot send heartbeats: so long its join may wait.
    static let newMemberMilliseconds: UInt64 = 300_000
    /// Shorter rebalance timeouts than this are taken for this.
    static let leastRebalanceMilliseconds: Int32 = 100

    package init() {}
}
