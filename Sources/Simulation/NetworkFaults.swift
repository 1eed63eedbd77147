/// How simulated sockets and clocks behave; drawn per seed, most of it zero in most seeds.
package struct NetworkFaults: Sendable {
    /// Received pieces are of one byte, of any size, or as much as there is.
    package var oneByte = 0.0
    package var anySize = 0.5
    /// Per event of a connection: it breaks now, at whatever byte.
    package var reset = 0.0
    /// What a peer's socket takes before it is read.
    package var window = 65_536
    /// Per send: the socket takes what it has room for at once.
    package var takesAtOnce = 0.0
    /// Up to this many nanoseconds between two events of a connection.
    package var latency = 50_000
    /// Per poll: the wall clock jumps by up to `jumpMilliseconds`, either way.
    package var clockJump = 0.0
    package var jumpMilliseconds = 10_000
    /// Something arrives although receiving was stopped, once.
    package var lateArrival = 0.2
    /// The machine has no room for another connection.
    package var acceptFailure = 0.0

    package init() {}

    package static let none = NetworkFaults()

    package static func swarm(_ random: inout RandomStream) -> NetworkFaults {
        var faults = NetworkFaults()
        faults.oneByte = random.pick([0, 0, 0.1, 1])
        faults.anySize = random.pick([0, 0.5, 1])
        faults.reset = random.pick([0, 0, 0.001, 0.01])
        faults.window = random.pick([64, 1_500, 65_536, 1 << 20])
        faults.latency = random.pick([0, 1_000, 50_000, 5_000_000])
        faults.clockJump = random.pick([0, 0, 0.01])
        faults.jumpMilliseconds = random.pick([1_000, 86_400_000, 315_360_000_000])
        faults.lateArrival = random.pick([0, 0.5])
        faults.acceptFailure = random.pick([0, 0, 0.1])
        faults.takesAtOnce = random.pick([0, 0.5, 1, 1])
        return faults
    }
}
