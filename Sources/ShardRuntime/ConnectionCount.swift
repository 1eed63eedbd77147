import BrokerCore
internal import Synchronization

/// How many connections all shards have together, in all and from each host, so that the limits are the process's. Taken when one comes
/// and given back when its socket is closed: not on the data path, so it may lock.
///
/// Invariant: a host is in the table while it has connections, so that the table is never longer than `limits.connections`.
package final class ConnectionCount: Sendable {
    private struct Counts {
        var all = 0
        var byHost: [PeerHost: Int] = [:]
    }

    private let counts = Mutex(Counts())

    enum Entry: Equatable { case admitted, tooMany, tooManyFromHost }

    package init() {}

    /// Counts a connection, unless there are as many as `limits` allows already. Peers without a host have a unix socket, and with it the
    /// rights of a file: only the limit of all is theirs.
    func enter(from host: PeerHost?, _ limits: Limits) -> Entry {
        counts.withLock { counts in
            guard counts.all < limits.connections else { return .tooMany }
            if let host {
                let before = counts.byHost[host, default: 0]
                guard before < limits.connectionsPerAddress else { return .tooManyFromHost }
                counts.byHost[host] = before + 1
            }
            counts.all += 1
            return .admitted
        }
    }

    func leave(from host: PeerHost?) {
        counts.withLock { counts in
            counts.all -= 1
            guard let host, let before = counts.byHost[host] else { return }
            counts.byHost[host] = before > 1 ? before - 1 : nil
        }
    }

    /// Hosts with connections.
    var hosts: Int { counts.withLock { $0.byHost.count } }
    var connections: Int { counts.withLock { $0.all } }
}
