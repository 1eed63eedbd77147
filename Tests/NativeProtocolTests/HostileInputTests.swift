import BrokerCore
import Bytes
import NativeCodec
import NativeProtocol
import SegmentLog
import Testing
import Wire

/// Whatever bytes come: the right ERROR and the end, and nothing asked that was not meant.
@Suite struct HostileInputTests {
    static let hello = encoded(Frame.Hello(maxFrameBytes: 1 << 20, client: "test"))

    /// Bytes that are wrong from the first frame on.
    @Test(arguments: [
        (Array("GET / HTTP/1.1\r\n\r\n".utf8), ErrorCode.notNative), (encoded(Frame.Ping()), .notNative), (encoded(Frame.OK()), .notNative),
        (encoded(Frame.Hello(magic: 1, maxFrameBytes: 1 << 20, client: "")), .notNative),
        (encoded(Frame.Hello(oldestVersion: 2, newestVersion: 3, maxFrameBytes: 1 << 20, client: "")), .unsupportedVersion),
        (encoded(Frame.Hello(oldestVersion: 1, newestVersion: 0, maxFrameBytes: 1 << 20, client: "")), .unsupportedVersion),
        (encoded(Frame.Hello(maxFrameBytes: 100, client: "")), .malformedFrame), ([1, 0, 1, 0], .notNative),
        ([0xFF, 0xFF, 0xFF, 0xFF], .notNative), ([3, 0, 0, 0], .notNative), ([16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], .malformedFrame),
    ])
    func aConnectionBeginsWithHello(_ bytes: [UInt8], _ code: ErrorCode) { expectEnd(bytes, code) }

    /// Bytes that are wrong after a good HELLO.
    @Test(arguments: [
        (hello, ErrorCode.unexpectedFrame), (encoded(Frame.OK()), .unexpectedFrame),
        (encoded(Frame.Published(topic: 1, partition: 1, baseOffset: 1, count: 1, logs: 1, reached: .none, isDuplicate: false)), .unexpectedFrame),
        (encoded(Frame.Failure(code: .conflict, isFatal: true, text: "")), .unexpectedFrame),
        ([16, 0, 0, 0, 0xEE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], .unknownFrame), ([0, 0, 0, 0], .malformedFrame),
        ([16, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], .malformedFrame), ([16, 0, 0, 0, 3, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], .malformedFrame),
        ([17, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], .malformedFrame), ([1, 0, 0, 4], .frameTooLarge),
        (encoded(Frame.ListTopics(), 1 << 63), .malformedFrame), (encoded(Frame.ListTopics(), 1 << 56), .malformedFrame),
        (encoded(Frame.Settle(consumer: 1, confirm: false, ranges: [])), .malformedFrame),
        (encoded(Frame.Credit(consumer: 1, messages: -1, bytes: 0)), .malformedFrame),
        (encoded(Frame.Fetch(topic: 1, partition: -1, from: 0, maxBytes: 0, minBytes: 0, waitMilliseconds: 0)), .malformedFrame),
        (encoded(Frame.Settle(consumer: 1, confirm: false, ranges: [.init(partition: 0, outcome: .accept, first: 2, last: 1)])), .malformedFrame),
    ])
    func aFaultEndsTheConnection(_ bytes: [UInt8], _ code: ErrorCode) { expectEnd(HostileInputTests.hello + bytes, code) }

    @Test func acceptedRequestsBeforeAFaultStay() {
        let harness = SessionHarness()
        harness.feed(HostileInputTests.hello + encoded(Frame.ListTopics()) + [0, 0, 0, 0] + encoded(Frame.ListTopics()))
        #expect(harness.requests.count == 1)
        #expect(harness.isClosed)
    }

    @Test func aCountThatLiesTakesNoMemory() {
        var settle = encoded(RequestTests.settle)
        settle.replaceSubrange(20..<24, with: [0xFF, 0xFF, 0xFF, 0x7F])
        expectEnd(HostileInputTests.hello + settle, .malformedFrame)
    }

    @Test func unansweredRequestsAreBounded() {
        var limits = Limits()
        limits.unansweredRequests = 3
        let harness = SessionHarness.open(limits: limits)
        for correlation in 1...3 { harness.feed(RequestTests.stream[2], correlation: UInt64(correlation)) }
        harness.complete(3, .done)
        _ = harness.takeFrames()
        harness.feed(RequestTests.stream[2])
        #expect(!harness.session.isHolding)
        for _ in 0..<3 { harness.feed(RequestTests.stream[2]) }
        #expect(harness.session.isHolding)
        #expect(harness.requests.count == 4)
        // What is held comes when half of the answers have, in order, and no sooner.
        harness.complete(1, .done)
        #expect(harness.session.isHolding)
        harness.complete(2, .done)
        #expect(!harness.session.isHolding)
        harness.feed([])
        #expect(harness.requests.count == 6)
        #expect(harness.session.isHolding)
        #expect(!harness.isClosed && harness.error == nil)
    }

    @Test func requestsForListsAreBoundedMore() {
        var limits = Limits()
        limits.listingsPerSession = 2
        let harness = SessionHarness.open(limits: limits)
        for correlation: UInt64 in 1...3 { harness.feed(Frame.ListTopics(), correlation: correlation) }
        #expect(harness.requests.count == 2)
        #expect(harness.lastError() == .limitReached)
        #expect(!harness.isClosed)
        harness.complete(harness.requests[0].id, .topics([]))
        harness.feed(Frame.ListTopics(), correlation: 4)
        #expect(harness.requests.count == 3)
    }

    @Test func whoDoesNotSayHelloInTimeIsSentAway() {
        let harness = SessionHarness()
        harness.advance(milliseconds: 5)
        harness.advance(milliseconds: 10_004)
        #expect(!harness.isClosed)
        harness.advance(milliseconds: 10_005)
        #expect(harness.lastError() == .handshakeTimeout)
        #expect(harness.error?.kind == "handshakeTimeout")
        let open = SessionHarness.open()
        open.advance(milliseconds: 5)
        open.advance(milliseconds: 1 << 40)
        #expect(!open.isClosed)
    }

    @Test func theEndIsSaidOnce() {
        let harness = SessionHarness.open()
        harness.shutDown()
        #expect(harness.lastError() == .shuttingDown)
        #expect(harness.isClosed)
        harness.shutDown()
        harness.complete(1, .done)
        harness.notify(1, .activated)
        #expect(harness.takeFrames().isEmpty)
    }

    @Test func noByteOfAStreamTraps() {
        let stream = Array(RequestTests.stream.joined())
        for index in stream.indices {
            for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] where value != stream[index] {
                var wrong = stream
                wrong[index] = value
                fuzzNativeSession(wrong.rawSpan, splits: false)
            }
        }
    }

    /// Whole frames of every type with likely fields, in any order, some of them cut: the states are fuzzed, not only the frames.
    @Test func noSequenceOfFramesTraps() {
        var state: UInt64 = 0x2545_F491_4F6C_DD1D
        func next(_ limit: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(limit))
        }
        for _ in 0..<800 {
            var stream = next(8) == 0 ? [] : HostileInputTests.hello
            for _ in 0...next(6) {
                let size = FrameHeader.size + next(140)
                let declared = next(16) == 0 ? next(256) : size
                var frame: [UInt8] = [UInt8(declared), 0, 0, 0, FrameType.allCases[next(FrameType.allCases.count)].rawValue, UInt8(next(4)), 0, 0]
                frame += [UInt8(next(256))] + [UInt8](repeating: 0, count: 7)
                while frame.count < size { frame.append([0, 0, UInt8(next(12)), [1, 0x7F, 0x80, 0xFE, 0xFF][next(5)]][next(4)]) }
                stream += frame
            }
            fuzzNativeSession(stream.rawSpan)
        }
    }

    private func expectEnd(_ bytes: [UInt8], _ code: ErrorCode) {
        for byByte in [false, true] {
            let harness = SessionHarness()
            if byByte { for byte in bytes { harness.feed([byte]) } } else { harness.feed(bytes) }
            #expect(harness.isClosed)
            #expect(harness.lastError() == code)
            #expect(harness.error?.kind == code.description)
            #expect(harness.requests.isEmpty)
        }
    }
}

extension SessionHarness {
    func feed(_ frame: [UInt8], correlation: UInt64) {
        var frame = frame
        for index in 0..<8 { frame[8 + index] = UInt8(truncatingIfNeeded: correlation >> (8 * UInt64(index))) }
        feed(frame)
    }
}
