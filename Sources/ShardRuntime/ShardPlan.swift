import BrokerCore
import LinuxSystem
import Observability
import SegmentLog
import Wire

/// What one shard is made of, decided before its thread starts; and the making, on that thread.
struct ShardPlan: Sendable {
    let options: ShardGroup.Options
    let number: Int
    /// Where shard 0 is to listen, or does, by the listeners' numbers. Ports are resolved for all but shard 0.
    let addresses: [ListenAddress]
    /// What shard 0's broker knows; nil for shard 0.
    let catalog: Broker.CatalogImage?
    let log: LogWriter

    init(_ options: ShardGroup.Options, number: Int, addresses: [ListenAddress], catalog: Broker.CatalogImage?, log: LogWriter) {
        self.options = options
        self.number = number
        self.addresses = addresses
        self.catalog = catalog
        self.log = log
    }

    /// A driver that listens, and a broker.
    struct Machine {
        var driver: any Driver
        var reason: String
        var broker: Broker
        var addresses: [ListenAddress] = []
        let histograms = TickHistograms()
    }

    func make() throws(StartError) -> Machine {
        if options.pinsShards {
            do throws(Errno) {
                try LinuxSystem.Thread.pin(toCore: number)
            } catch {
                throw StartError(path: "pin", reason: "cannot bind shard \(number) to core \(number): \(error)")
            }
        }
        let driver: any Driver
        let reason: String
        do throws(DriverError) {
            (driver, reason) = try makeDriver(options.driver, options.driverOptions)
        } catch {
            throw StartError(path: "driver", reason: error.description)
        }
        var brokerOptions = options.broker
        if brokerOptions.stopwatch == nil { brokerOptions.stopwatch = { Clock.monotonic } }
        brokerOptions.compactionSeed = CompactionSeed(.random(in: .min ... .max), .random(in: .min ... .max))
        let place = catalog.map { Broker.Place.member(number, of: options.shards, $0) } ?? .authority(of: options.shards)
        var machine = Machine(
            driver: driver, reason: reason, broker: try Broker(options: brokerOptions, storage: driver.storage, now: driver.now, place: place))
        for (listener, address) in addresses.enumerated() {
            if number > 0, case .unix = address { continue }
            machine.addresses.append(try listen(driver, address, listener))
        }
        return machine
    }

    // MARK: Listening

    private func listen(_ driver: any Driver, _ address: ListenAddress, _ number: Int) throws(StartError) -> ListenAddress {
        let listener = ListenerID(rawValue: UInt32(number))
        let isPerShard = options.shards > 1 && type(of: options.listeners[number].wireProtocol).listensPerShard
        guard isPerShard, case .tcp(let host, let port) = address else {
            let use: PortUse = options.shards == 1 ? .alone : self.number == 0 ? .share : .join
            return try listen(driver, address, listener, use)
        }
        if self.number > 0 {
            guard let own = UInt16(exactly: Int(port) + self.number) else {
                throw StartError(path: address.description, reason: "shard \(self.number) listens on the port + \(self.number), which is beyond 65535")
            }
            return try listen(driver, .tcp(host: host, port: own), listener, .alone)
        }
        guard let first = port > 0 ? port : freePorts(host) else {
            throw StartError(path: address.description, reason: "found no \(options.shards) ports in a row that are free")
        }
        return try listen(driver, .tcp(host: host, port: first), listener, .alone)
    }

    /// The first of as many ports in a row as there are shards, which nobody has just now.
    private func freePorts(_ host: String) -> UInt16? {
        for _ in 0..<64 {
            var probes: [Socket] = []
            defer { for probe in probes { probe.close() } }
            var next: UInt16? = 0
            while probes.count < options.shards, let port = next, let address = SocketAddress(host: host, port: port) {
                guard let probe = try? Socket.make(for: address, .nonblocking) else { break }
                probes.append(probe)
                guard (try? probe.bind(to: address)) != nil, let bound = probe.localAddress?.port else {
                    probes.removeLast().close()
                    break
                }
                next = bound == .max ? nil : bound + 1
            }
            if probes.count == options.shards { return probes.first?.localAddress?.port }
        }
        return nil
    }

    /// How long a port may be another's before the start gives up.
    private static let portPatience: UInt64 = 3_000_000_000

    /// The kernel lets go of a killed broker's sockets only when it has torn down that one's ring, some time after the process is gone:
    /// a restart right behind a kill finds its port in use for a moment.
    private func listen(_ driver: any Driver, _ address: ListenAddress, _ listener: ListenerID, _ use: PortUse) throws(StartError) -> ListenAddress {
        let start = Clock.monotonic
        while true {
            do throws(DriverError) {
                return try driver.listen(address, listener, use)
            } catch {
                guard error.code == Errno.addressInUse.rawValue, Clock.monotonic - start < ShardPlan.portPatience else {
                    throw StartError(path: address.description, reason: error.description)
                }
                Clock.sleep(nanoseconds: 20_000_000)
            }
        }
    }
}
