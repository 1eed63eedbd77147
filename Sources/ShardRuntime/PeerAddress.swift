internal import LinuxSystem

/// Who has connected, as a driver knows it.
package struct PeerAddress: Sendable {
    /// For people, with the port.
    package var name: String
    /// Whether the peer is on this machine.
    package var isLocal: Bool
    /// nil on a unix socket, and for a peer that was gone before it could be asked for.
    package var host: PeerHost?

    package init(name: String, isLocal: Bool, host: PeerHost?) {
        self.name = name
        self.isLocal = isLocal
        self.host = host
    }

    init(_ address: SocketAddress?) {
        self.init(name: address?.description ?? "unknown", isLocal: address?.isLoopback ?? false, host: address.flatMap(PeerHost.init))
    }
}

/// The machine that a peer has connected from: what connections are counted by. An IPv4 address is the same in its IPv6 form.
package struct PeerHost: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64
    /// The interface of a link-local address, which names different machines on different links.
    private let scope: UInt32

    package init(ipv4 address: UInt32) { self.init(high: 0, low: 0xffff << 32 | UInt64(address), scope: 0) }

    private init(high: UInt64, low: UInt64, scope: UInt32) {
        self.high = high
        self.low = low
        self.scope = scope
    }

    init?(_ address: SocketAddress) {
        switch address {
        case .ipv4(let number, _): self.init(ipv4: number)
        case .ipv6(let number, _): self.init(high: number.high, low: number.low, scope: number.scope)
        case .unix, .unnamed: return nil
        }
    }
}
