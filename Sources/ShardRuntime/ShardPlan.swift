import BrokerCore
import LinuxSystem
import Observability
import SegmentLog
import Wire

/// What one shard is made of, decided before its thread starts; and the making, on that thread.
struct ShardPlan: Sendable {
    let options: ShardGroup.Options
    let number: Int
    /// Where to listen, by the listeners' numbers. Ports are resolved for all but shard 0.
    let addresses: [ListenAddress]
    let log: LogWriter

    init(_ options: ShardGroup.Options, number: Int, addresses: [ListenAddress], log: LogWriter) {
        self.options = options
        self.number = number
        self.addresses = addresses
        self.log = log
    }

    /// A driver that listens, and on shard 0 the broker.
    struct Machine {
        var driver: any Driver
        var reason: String
        var broker: Broker?
        var addresses: [ListenAddress] = []
    }

    func make() throws(StartError) -> Machine {
        if options.pinsShards {
            do throws(Errno) {
                try LinuxSystem.Thread.pin(toCore: number)
            } catch {
                throw StartError(path: "pin", reason: "cannot bind shard \(number) to core \(number): \(error)")
            }
        }
        var driverOptions = options.driverOptions
        if options.shards > 1 { driverOptions.portUse = number == 0 ? .share : .join }
        let driver: any Driver
        let reason: String
        do throws(DriverError) {
            (driver, reason) = try makeDriver(options.driver, driverOptions)
        } catch {
            throw StartError(path: "driver", reason: error.description)
        }
        var machine = Machine(driver: driver, reason: reason)
        if number == 0 {
            var brokerOptions = options.broker
            if brokerOptions.stopwatch == nil { brokerOptions.stopwatch = { Clock.monotonic } }
            machine.broker = try Broker(options: brokerOptions, storage: driver.storage, now: driver.now)
        }
        for (listener, address) in addresses.enumerated() {
            if number > 0, case .unix = address { continue }
            do throws(DriverError) {
                machine.addresses.append(try listen(driver, address, ListenerID(rawValue: UInt32(listener))))
            } catch {
                throw StartError(path: address.description, reason: error.description)
            }
        }
        return machine
    }

    /// How long a port may be another's before the start gives up.
    private static let portPatience: UInt64 = 3_000_000_000

    /// The kernel lets go of a killed broker's sockets only when it has torn down that one's ring, some time after the process is gone:
    /// a restart right behind a kill finds its port in use for a moment.
    private func listen(_ driver: any Driver, _ address: ListenAddress, _ listener: ListenerID) throws(DriverError) -> ListenAddress {
        let start = Clock.monotonic
        while true {
            do throws(DriverError) {
                return try driver.listen(address, listener)
            } catch {
                guard error.code == Errno.addressInUse.rawValue, Clock.monotonic - start < ShardPlan.portPatience else { throw error }
                Clock.sleep(nanoseconds: 20_000_000)
            }
        }
    }
}
