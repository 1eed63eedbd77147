import LinuxSystem
import Testing

@Suite struct SocketAddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1:80", true), ("127.255.0.9", "127.255.0.9:80", true), ("128.0.0.1", "128.0.0.1:80", false), ("0.0.0.0", "0.0.0.0:80", false),
        ("::1", "[::1]:80", true), ("::", "[::]:80", false), ("::ffff:127.0.0.1", "[::ffff:127.0.0.1]:80", true),
        ("::ffff:10.0.0.1", "[::ffff:10.0.0.1]:80", false), ("2001:db8:0:0::5", "[2001:db8::5]:80", false),
    ])
    func numericAddressesComeBackAsWritten(_ host: String, _ text: String, _ isLoopback: Bool) throws {
        let address = try #require(SocketAddress(host: host, port: 80))
        #expect(address.description == text)
        #expect(address.isLoopback == isLoopback)
        #expect(SocketAddress(host: address.host, port: 80) == address)
    }

    @Test(arguments: ["", "localhost", "1.2.3", "1.2.3.4.5", "256.0.0.1", ":::", "12345::", "127.0.0.1 ", "[::1]", "127.1"])
    func whatIsNoNumericAddressIsNone(_ host: String) {
        #expect(SocketAddress(host: host, port: 1) == nil)
    }

    @Test func aPathThatIsTooLongIsRefusedBeforeTheSystemSeesIt() throws {
        let longest = "/tmp/" + String(repeating: "x", count: SocketAddress.unixPathMax - 4)
        let address = SocketAddress.unix(path: longest)
        let socket = try Socket.make(for: address, .blocking)
        defer { socket.close() }
        #expect(throws: Errno.nameTooLong) { try socket.bind(to: address) }
        #expect(throws: Errno.nameTooLong) { try socket.bind(to: .unix(path: "/tmp/a\0b")) }
    }

    @Test func theResolverKnowsThisMachine() throws {
        #expect(try SocketAddress.resolve(host: "127.0.0.1", port: 7) == [.ipv4(0x7f00_0001, port: 7)])
        #expect(throws: SocketAddress.ResolveError.self) { try SocketAddress.resolve(host: "no host has spaces", port: 1) }
    }
}
