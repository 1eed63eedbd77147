import Bytes
import NativeCodec
import Testing

/// Every frame, against every fault of its bytes that a table can list.
@Suite struct FrameTests {
    @Test func everyTypeHasASample() {
        let sampled = Set(Sample.all.map(\.type))
        let missing = FrameType.allCases.filter { !sampled.contains($0) }
        #expect(missing.isEmpty)
    }

    @Test(arguments: Sample.all)
    func whatIsEncodedComesBack(_ sample: Sample) throws {
        let header = try FrameSplitter.next(in: sample.bytes.rawSpan, at: 0, limit: 1 << 20)
        #expect(
            header
                == .frame(
                    FrameHeader(size: sample.bytes.count, type: sample.type.rawValue, flags: sample.bytes[5], correlation: 0x0102_0304_0506_0708)))
        let same = try sample.decodesBack(sample.bytes)
        #expect(same)
        #expect(decodeAnything(sample.bytes.rawSpan) == 1)
    }

    @Test(arguments: Sample.all)
    func noTruncationIsTakenForTheFrame(_ sample: Sample) {
        for length in 0..<sample.bytes.count {
            let cut = Array(sample.bytes[..<length])
            // Cut on the way: the frame is not whole.
            let step = try? FrameSplitter.next(in: cut.rawSpan, at: 0, limit: 1 << 20)
            #expect(step == .incomplete(wanted: length < 4 ? 0 : sample.bytes.count))
            // Cut by a sender whose size agrees: what is missing is missed. Only the open tail of a batch may be shorter.
            guard length >= FrameHeader.size else { continue }
            var lying = cut
            let size = UInt32(length)
            for index in 0..<4 { lying[index] = UInt8(truncatingIfNeeded: size >> (8 * UInt32(index))) }
            let same = (try? sample.decodesBack(lying)) ?? false
            #expect(!same, "cut at \(length)")
        }
    }

    @Test(arguments: Sample.all)
    func bytesLeftOverAreRefused(_ sample: Sample) {
        var longer = sample.bytes + [0]
        let size = UInt32(longer.count)
        for index in 0..<4 { longer[index] = UInt8(truncatingIfNeeded: size >> (8 * UInt32(index))) }
        let same = (try? sample.decodesBack(longer)) ?? false
        #expect(!same)
    }

    /// The claim is that the process is still there, and that no wrong byte of a head goes unseen as the same frame.
    @Test(arguments: Sample.all)
    func noWrongByteTraps(_ sample: Sample) {
        var bytes = sample.bytes
        for index in bytes.indices {
            for value: UInt8 in [0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF] {
                let right = bytes[index]
                bytes[index] = value
                _ = decodeAnything(bytes.rawSpan)
                if value != right && index >= FrameHeader.size && index < FrameHeader.size + 4 {
                    let same = (try? sample.decodesBack(bytes)) ?? false
                    #expect(!same)
                }
                bytes[index] = right
            }
        }
    }

    @Test func randomBytesNeverTrap() {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        for _ in 0..<5_000 {
            let type = FrameType.allCases[Int(next() % UInt64(FrameType.allCases.count))]
            let length = FrameHeader.size + Int(next() % 120)
            var bytes: [UInt8] = [UInt8(length), 0, 0, 0, type.rawValue, UInt8(next() % 4), 0, 0]
            while bytes.count < length { bytes.append(next() % 3 == 0 ? UInt8(truncatingIfNeeded: next()) : 0) }
            _ = decodeAnything(bytes.rawSpan)
        }
    }

    /// A count says how many elements follow; memory is taken for those that are there.
    @Test(arguments: [FrameType.settle, .topics, .exchanges, .subscriptions, .figures])
    func aCountThatLiesIsRefused(_ type: FrameType) throws {
        let sample = try #require(Sample.all.first { $0.type == type })
        var bytes = sample.bytes
        let at = type == .settle ? 20 : 16
        for index in at..<at + 4 { bytes[index] = 0xFF }
        let failure = failure { () throws(ByteError) in _ = try sample.decodesBack(bytes) }
        #expect(failure == .truncated)
    }

    @Test func headersMustBeWhatTheirCountSays() throws {
        let publish = try #require(Sample.publishing.first)
        for count: UInt8 in [0, 1, 3, 255] {
            var bytes = publish.bytes
            bytes[40] = count
            let failure = failure { () throws(ByteError) in _ = try publish.decodesBack(bytes) }
            #expect(failure != nil, "\(count)")
        }
    }

    @Test func longTextIsCutBetweenCharacters() throws {
        for shift in 0..<4 {
            let text = String(repeating: "x", count: shift) + String(repeating: "€", count: 30_000)
            var buffer = ByteBuffer()
            Frame.Failure(code: .conflict, isFatal: false, text: text).encode(to: &buffer, correlation: 1)
            let bytes = [UInt8](buffer.bytes)
            guard case .frame(let header) = try FrameSplitter.next(in: bytes.rawSpan, at: 0, limit: 1 << 20) else {
                Issue.record("not a frame")
                return
            }
            let read = try Frame.Failure.decode(header, in: bytes.rawSpan, at: 0)
            #expect(text.hasPrefix(read.text))
            #expect(read.text.utf8.count > 0xFFFE - 4)
        }
    }

    @Test func longListsComeInParts() throws {
        var buffer = ByteBuffer()
        let names = (0..<100).map { "figure_\($0)" }
        let largest = Frame.Figures.encodeParts(of: names, to: &buffer, correlation: 9, partBytes: 200) { Frame.Figure(name: $0, value: 1) }
        let bytes = [UInt8](buffer.bytes)
        var at = 0
        var read: [String] = []
        var frames = 0
        var more = true
        while case .frame(let header) = try FrameSplitter.next(in: bytes.rawSpan, at: at, limit: 1 << 20) {
            #expect(more)
            let part = try Frame.Figures.decode(header, in: bytes.rawSpan, at: at)
            #expect(header.size <= largest)
            #expect(header.correlation == 9)
            read += part.elements.map(\.name)
            more = part.hasMore
            frames += 1
            at += header.size
        }
        #expect(at == bytes.count)
        #expect(!more)
        #expect(frames > 5)
        #expect(read == names)
    }

    private func failure(_ body: () throws(ByteError) -> Void) -> ByteError? {
        do throws(ByteError) {
            try body()
            return nil
        } catch {
            return error
        }
    }
}

@Suite struct FrameSplitterTests {
    @Test func aStreamIsCutAtItsFrames() throws {
        let stream = Sample.all.flatMap(\.bytes)
        var at = 0
        var types: [UInt8] = []
        while case .frame(let header) = try FrameSplitter.next(in: stream.rawSpan, at: at, limit: 1 << 20) {
            types.append(header.type)
            at += header.size
        }
        #expect(at == stream.count)
        #expect(types == Sample.all.map(\.type.rawValue))
    }

    @Test(arguments: [
        ([0, 0, 0, 0], FrameError.tooSmall(0)), ([15, 0, 0, 0], .tooSmall(15)), ([0xFF, 0xFF, 0xFF, 0xFF], .tooLarge(0xFFFF_FFFF, limit: 100)),
        ([101, 0, 0, 0], .tooLarge(101, limit: 100)), (Array("GET ".utf8), .tooLarge(0x2054_4547, limit: 100)),
    ])
    func theSizeIsCheckedBeforeAnythingIsAwaited(_ bytes: [UInt8], _ expected: FrameError) {
        #expect(throws: expected) { try FrameSplitter.next(in: bytes.rawSpan, at: 0, limit: 100) }
    }

    @Test func reservedBytesAreZero() {
        let bytes: [UInt8] = [16, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(throws: FrameError.reserved) { try FrameSplitter.next(in: bytes.rawSpan, at: 0, limit: 100) }
    }
}
