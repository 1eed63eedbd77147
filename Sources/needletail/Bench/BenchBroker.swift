import Bytes
import ConfigFile
import LinuxSystem

/// A broker of the same binary for one benchmark: on a free loopback port, with a data directory of its own that goes with it.
final class BenchBroker: Sendable {
    let address: ServerAddress
    private let process: ChildProcess
    private let directory: String

    /// - Parameters:
    ///   - place: where its data directory is made.
    ///   - words: more words for `serve`.
    init(on transport: BenchSettings.Transport, in place: String, _ words: [String]) throws {
        directory = place + "/needletail-bench-\(Clock.monotonic)"
        address = transport == .tcp ? .tcp(host: "127.0.0.1", port: try BenchBroker.freePort()) : .unix(path: directory + ".socket")
        do {
            try FileSystem.makeDirectory(directory)
        } catch {
            throw CommandFailure(.failure, "cannot make the data directory \(quoted(directory)): \(error)")
        }
        do {
            process = try ChildProcess(["/proc/self/exe", "serve", "--data", directory, "--listen", "native=\(address)"] + words)
        } catch {
            try? FileSystem.removeTree(directory)
            throw error
        }
        do {
            try awaitReady()
        } catch {
            end()
            throw error
        }
    }

    var identifier: Int32 { process.identifier }

    /// Ends it in order, by force when it takes longer than it promises, and removes its directory.
    func end() {
        process.end(.terminate)
        if process.wait(atMost: 10_000_000_000) == nil {
            process.kill()
            _ = process.wait(atMost: 5_000_000_000)
        }
        try? FileSystem.removeTree(directory)
    }

    /// One line on standard output says that every listener is open.
    private func awaitReady() throws {
        var output = ByteBuffer()
        while true {
            guard try process.read(into: &output) > 0 else {
                throw CommandFailure(.cannotConnect, "the broker of this benchmark did not start; try `needletail serve` for the reason")
            }
            if [UInt8](output.bytes).contains(UInt8(ascii: "\n")) { return }
        }
    }

    private static func freePort() throws -> UInt16 {
        let any = SocketAddress.ipv4(0x7f00_0001, port: 0)
        let socket = try Socket.make(for: any, .blocking)
        defer { socket.close() }
        try socket.bind(to: any)
        guard let port = socket.localAddress?.port else { throw Errno.invalid }
        return port
    }
}
