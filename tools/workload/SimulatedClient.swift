internal import Bytes
internal import NativeCodec
internal import Simulation

/// The client's end of one connection: frames in, frames out, and what it waits for.
final class SimulatedClient {
    enum Role { case control, worker, publisher, reader }

    enum Pending {
        case welcome, made, described(String), producer, subscribed, pulse
        /// Messages on their way to a topic.
        case published(topic: String, [UInt64], sequence: Int32?)
        case settled([UInt64], offset: Int64, Frame.Outcome)
    }

    let number: Int
    let role: Role
    let peer: SimulatedPeer
    private(set) var pending: [UInt64: Pending] = [:]
    private var unsent: [UInt8] = []
    private var received: [UInt8] = []
    private var nextCorrelation: UInt64 = 1

    // The one consumer that it may have.
    var form = Frame.DeliveryForm.records
    var settlesItself = false
    var isSubscribed = false
    var credit: Int64 = 0
    var inFlight: [(message: UInt64, offset: Int64)] = []
    /// What comes next, where everything comes in order.
    var next: Int64 = -1
    /// It takes no more from its socket.
    var isLazy = false

    init(_ number: Int, _ role: Role, _ peer: SimulatedPeer) {
        self.number = number
        self.role = role
        self.peer = peer
    }

    var isWaiting: Bool { !pending.isEmpty }
    /// What was published and not answered, in the order of sending.
    var unanswered: [(topic: String, messages: [UInt64], sequence: Int32?)] {
        pending.sorted { $0.key < $1.key }.compactMap {
            if case .published(let topic, let messages, let sequence) = $0.value { (topic, messages, sequence) } else { nil }
        }
    }

    func say<F: FrameBody>(_ frame: F, _ wait: Pending?, tail: [UInt8] = []) {
        var correlation: UInt64 = 0
        if let wait {
            correlation = nextCorrelation
            nextCorrelation += 1
            pending[correlation] = wait
        }
        var buffer = ByteBuffer()
        frame.encode(to: &buffer, correlation: correlation)
        buffer.append(tail)
        unsent += [UInt8](buffer.bytes)
    }

    func answered(_ correlation: UInt64) -> Pending? { pending.removeValue(forKey: correlation) }

    /// Gives the connection what fits, `limit` bytes at most.
    func write(_ limit: Int = .max) {
        if unsent.isEmpty { return }
        unsent.removeFirst(peer.send(Array(unsent.prefix(limit))))
    }

    /// The frames that have arrived whole.
    func read(_ limit: Int) throws(Violation) -> [(header: FrameHeader, bytes: [UInt8])] {
        received += peer.take(limit)
        // A span of the property itself would outlive its access where builds do not check accesses.
        let received = received
        var frames: [(header: FrameHeader, bytes: [UInt8])] = []
        var at = 0
        while true {
            let step: FrameSplitter.Step
            do { step = try FrameSplitter.next(in: received.rawSpan, at: at, limit: 64 << 20) } catch {
                throw Violation(.contract, "client \(number) got bytes that are no frame: \(error)")
            }
            guard case .frame(let header) = step else { break }
            frames.append((header, Array(received[at..<at + header.size])))
            at += header.size
        }
        self.received.removeFirst(at)
        return frames
    }
}
