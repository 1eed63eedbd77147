package import ConfigFile
internal import NativeCodec
package import Wire

/// Needletail's own protocol (docs/formats/native-protocol.md). It has no keys of its own in a listener's section.
package struct NativeProtocol: WireProtocol {
    package static let name = "native"
    /// The versions that this server speaks.
    static let versions: ClosedRange<UInt16> = 1...1
    /// The features that this server has, one bit each.
    static let features = Frame.Hello.compaction | Frame.Hello.lanes | Frame.Hello.traces

    package init(_ options: ConfigSection) throws(ConfigError) {}
    package init() {}

    package func makeSession(_ peer: Peer) -> any WireSession { NativeSession(peer) }
}
