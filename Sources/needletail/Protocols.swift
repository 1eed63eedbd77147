import KafkaProtocol
import NativeProtocol
import Wire

/// The protocols that a listener can speak. Adding one is a word in Package.swift and a line here.
enum Protocols {
    static let all: [any WireProtocol.Type] = [NativeProtocol.self, KafkaProtocol.self]
}
