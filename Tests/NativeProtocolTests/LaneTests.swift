import BrokerCore
import NativeCodec
import Testing
import Wire

/// A session asks its connection for a lane, and says what came of it; the rest is the connection's.
@Suite struct LaneTests {
    @Test func aLaneIsAskedForAndAnswered() {
        let harness = SessionHarness.open(features: Frame.Hello.lanes)
        harness.feed(Frame.OpenLane(toServerBytes: 1 << 20, toClientBytes: 0), correlation: 5)
        #expect(harness.lanes.count == 1 && harness.lanes[0].toServerBytes == 1 << 20 && harness.lanes[0].toClientBytes == 0)
        #expect(harness.sent.isEmpty, "the connection decides")
        harness.answerLane(harness.lanes[0].id, .opens(toServerBytes: 65_536, toClientBytes: 131_072))
        let frames = harness.takeFrames()
        #expect(frames.count == 1 && frames[0].header.type == FrameType.laneOpened.rawValue && frames[0].header.correlation == 5)
        #expect(harness.error == nil)
    }

    @Test func aRefusedLaneLeavesTheConnectionAsItWas() {
        let harness = SessionHarness.open(features: Frame.Hello.lanes)
        harness.feed(Frame.OpenLane(), correlation: 5)
        harness.answerLane(harness.lanes[0].id, .refused(BrokerError(.limitReached, "too many")))
        let frames = harness.takeFrames()
        #expect(frames.count == 1 && frames[0].header.type == FrameType.error.rawValue && frames[0].header.correlation == 5)
        harness.feed(Frame.Ping(), correlation: 6)
        #expect(harness.takeFrames().map(\.header.type) == [FrameType.pong.rawValue])
    }

    @Test func aLaneComesInFrontOfEverythingElseAndWithItsFeature() {
        let without = SessionHarness.open()
        without.feed(Frame.OpenLane())
        #expect(without.lastError() == .unexpectedFrame && without.isClosed && without.lanes.isEmpty)
        let late = SessionHarness.open(features: Frame.Hello.lanes)
        late.feed(Frame.ListTopics(), correlation: 1)
        late.feed(Frame.OpenLane(), correlation: 2)
        #expect(late.lastError() == .unexpectedFrame && late.isClosed && late.lanes.isEmpty)
        let twice = SessionHarness.open(features: Frame.Hello.lanes)
        twice.feed(encoded(Frame.OpenLane(), 1) + encoded(Frame.OpenLane(), 2))
        #expect(twice.lastError() == .unexpectedFrame && twice.isClosed)
    }
}
