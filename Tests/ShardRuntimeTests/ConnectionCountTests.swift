import BrokerCore
import Testing

@testable import LinuxSystem
@testable import ShardRuntime

/// The limits of connections are the process's, in all and by host; what is counted is given back.
@Suite struct ConnectionCountTests {
    private func limits(_ all: Int, each: Int) -> Limits {
        var limits = Limits()
        limits.connections = all
        limits.connectionsPerAddress = each
        return limits
    }

    private func host(_ text: String, port: UInt16 = 1) throws -> PeerHost? { PeerHost(try #require(SocketAddress(host: text, port: port))) }

    @Test func aHostIsTheSameInBothFormsAndOnEveryPort() throws {
        #expect(try host("10.0.0.7", port: 1) == host("10.0.0.7", port: 2))
        #expect(try host("10.0.0.7") == host("::ffff:10.0.0.7"))
        #expect(try host("127.0.0.1") == PeerHost(ipv4: 0x7f00_0001))
        #expect(try host("fe80::1") == host("fe80::1", port: 9))
        #expect(PeerHost(.unix(path: "/run/n.sock")) == nil && PeerHost(.unnamed) == nil)
        let different = ["10.0.0.7", "10.0.0.8", "127.0.0.1", "::1", "fe80::1", "2001:db8::1", "2001:db8::2", "::10.0.0.7"]
        #expect(try Set(different.map { try host($0) }).count == different.count)
        let links = [1, 2].map { PeerHost(.ipv6(SocketAddress.InternetAddress6(high: 0xfe80 << 48, low: 1, scope: $0), port: 1)) }
        #expect(links[0] != links[1], "the same address on another link is another machine")
    }

    @Test func oneHostTakesNoMoreThanItsShareAndUnixSocketsHaveNone() throws {
        let count = ConnectionCount()
        let limits = limits(6, each: 2)
        let (one, mapped, other) = (try host("10.0.0.1"), try host("::ffff:10.0.0.1"), try host("::1"))
        #expect(count.enter(from: one, limits) == .admitted)
        #expect(count.enter(from: mapped, limits) == .admitted)
        #expect(count.enter(from: one, limits) == .tooManyFromHost)
        #expect(count.enter(from: mapped, limits) == .tooManyFromHost)
        #expect(count.enter(from: other, limits) == .admitted)
        for _ in 0..<3 { #expect(count.enter(from: nil, limits) == .admitted) }
        #expect(count.enter(from: nil, limits) == .tooMany)
        #expect(count.enter(from: other, limits) == .tooMany, "the limit of all comes first")
        #expect(count.connections == 6 && count.hosts == 2)
        count.leave(from: nil)
        count.leave(from: mapped)
        #expect(count.enter(from: one, limits) == .admitted)
        #expect(count.enter(from: one, limits) == .tooManyFromHost)
    }

    @Test func aLimitThatWasLoweredRefusesOnlyWhatIsNew() throws {
        let count = ConnectionCount()
        let one = try host("10.0.0.1")
        for _ in 0..<5 { #expect(count.enter(from: one, limits(10, each: 5)) == .admitted) }
        #expect(count.enter(from: one, limits(10, each: 2)) == .tooManyFromHost)
        for _ in 0..<4 { count.leave(from: one) }
        #expect(count.enter(from: one, limits(10, each: 2)) == .admitted)
    }

    /// What peers name has a way out of every table.
    @Test func hostsThatHaveLeftAreForgotten() throws {
        let count = ConnectionCount()
        let limits = limits(100, each: 10)
        for round in UInt32(0)..<50 {
            for number in UInt32(0)..<200 { _ = count.enter(from: PeerHost(ipv4: round << 8 | number), limits) }
            #expect(count.hosts == 100 && count.connections == 100)
            for number in UInt32(0)..<100 { count.leave(from: PeerHost(ipv4: round << 8 | number)) }
            #expect(count.hosts == 0 && count.connections == 0)
        }
    }

    /// Shards accept at the same time.
    @Test func threadsTogetherStayWithinBothLimits() throws {
        let count = ConnectionCount()
        let limits = limits(50, each: 20)
        var threads: [LinuxSystem.Thread] = []
        for number in 0..<4 {
            threads.append(
                try LinuxSystem.Thread.spawn("enter-\(number)") {
                    for turn in UInt32(0)..<20_000 {
                        let host = PeerHost(ipv4: turn % 3)
                        guard count.enter(from: host, limits) == .admitted else { continue }
                        if count.connections > 50 || count.hosts > 3 { Issue.record("beyond the limits") }
                        count.leave(from: host)
                    }
                })
        }
        for thread in threads { thread.join() }
        #expect(count.connections == 0 && count.hosts == 0)
    }
}
