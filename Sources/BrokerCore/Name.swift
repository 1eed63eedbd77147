/// Names of topics, exchanges and subscriptions. The one place where they are judged; they never become paths.
package enum Name {
    /// What topics of the broker itself begin with.
    package static let reserved = "__"

    /// 1 to `limit` bytes of ASCII letters, digits, `.`, `_` and `-`, not beginning with `__`.
    package static func validate(_ name: String, limit: Int = 249) throws(BrokerError) {
        let bytes = name.utf8
        guard !bytes.isEmpty else { throw BrokerError(.invalidName, "a name has at least one character") }
        guard bytes.count <= limit else { throw BrokerError(.invalidName, "a name has at most \(limit) bytes, this one \(bytes.count)") }
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                continue
            default: throw BrokerError(.invalidName, "a name is made of letters, digits, '.', '_' and '-'")
            }
        }
        guard name != ".", name != ".." else { throw BrokerError(.invalidName, "'\(name)' is no name") }
        guard !name.hasPrefix(reserved) else { throw BrokerError(.invalidName, "names that begin with '\(reserved)' are the broker's own") }
    }

    /// Groups, their members and instances: 1 to 1024 bytes of any text, as clients of other brokers have it. They never become paths, and
    /// what people see of them is escaped where it is shown.
    package static func validateGroup(_ name: String) throws(BrokerError) {
        let count = name.utf8.count
        guard count >= 1 else { throw BrokerError(.invalidName, "a group's name has at least one character") }
        guard count <= groupBytes else { throw BrokerError(.invalidName, "a group's name has at most \(groupBytes) bytes, this one \(count)") }
    }

    package static let groupBytes = 1_024
}
