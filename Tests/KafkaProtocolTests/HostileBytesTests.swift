import Bytes
import Testing

@testable import KafkaProtocol

/// What a peer can do to a reader: lie about counts, lengths and tags.
@Suite struct HostileBytesTests {
    private func error<M: KafkaMessage>(_: M.Type, _ version: Int16, _ bytes: [UInt8], memoryLimit: Int = KafkaReader.defaultMemoryLimit) -> ByteError? {
        var reader = KafkaReader(bytes.rawSpan, memoryLimit: memoryLimit)
        do throws(ByteError) {
            _ = try M(from: &reader, version: version)
            return nil
        } catch {
            return error
        }
    }

    @Test func aCountThatTheBytesCannotHoldIsRefusedBeforeMemoryIsTaken() {
        // Two thousand million topics, in both forms.
        #expect(error(MetadataRequest.self, 1, [0x7F, 0xFF, 0xFF, 0xFF]) == .truncated)
        #expect(error(MetadataRequest.self, 9, [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]) == .truncated)
        // A million elements behind a million bytes, when each takes two at least.
        var bomb: [UInt8] = [0, 0x0F, 0x42, 0x40]
        bomb += [UInt8](repeating: 0, count: 1_000_000)
        #expect(error(MetadataRequest.self, 1, bomb) == .truncated)
        // Its memory was not even asked for.
        #expect(error(MetadataRequest.self, 1, bomb, memoryLimit: 1_000) == .truncated)
    }

    @Test func aNegativeCountIsNullOrRefused() {
        #expect(error(MetadataRequest.self, 1, [0xFF, 0xFF, 0xFF, 0xFF]) == nil)
        #expect(error(MetadataRequest.self, 0, [0xFF, 0xFF, 0xFF, 0xFF]) == .outOfRange)
        #expect(error(MetadataRequest.self, 1, [0xFF, 0xFF, 0xFF, 0xFE]) == .outOfRange)
        #expect(error(MetadataRequest.self, 1, [0x80, 0, 0, 0]) == .outOfRange)
        #expect(error(HeartbeatRequest.self, 0, [0xFF, 0xFE] + [UInt8](repeating: 0, count: 20)) == .outOfRange)
        #expect(error(HeartbeatRequest.self, 0, [0xFF, 0xFF] + [UInt8](repeating: 0, count: 20)) == .outOfRange)
    }

    @Test func aLengthBeyondTheBytesIsRefused() {
        #expect(error(HeartbeatRequest.self, 0, [0x7F, 0xFF, 0x61]) == .truncated)
        #expect(error(HeartbeatRequest.self, 4, [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x61]) == .truncated)
        // Beyond 32 bits, and never ending.
        #expect(error(HeartbeatRequest.self, 4, [0xFF, 0xFF, 0xFF, 0xFF, 0x1F, 0x61]) == .outOfRange)
        #expect(error(HeartbeatRequest.self, 4, [UInt8](repeating: 0xFF, count: 64)) == .overlong)
    }

    @Test func textThatIsNotUTF8IsRefused() {
        #expect(error(SaslHandshakeRequest.self, 0, [0, 2, 0xC3, 0x28]) == .notText)
    }

    @Test func valuesThatWouldTakeMoreThanTheMemoryLimitAreRefused() {
        // Empty names: two bytes each on the wire, a string each in memory.
        let count = 1_000
        let names: [UInt8] = [0, 0, 0x03, 0xE8] + [UInt8](repeating: 0, count: 2 * count) + [0]
        #expect(error(DescribeGroupsRequest.self, 3, names) == nil)
        #expect(error(DescribeGroupsRequest.self, 3, names, memoryLimit: count * MemoryLayout<String>.stride) == nil)
        #expect(error(DescribeGroupsRequest.self, 3, names, memoryLimit: count * MemoryLayout<String>.stride - 1) == .outOfRange)
        // Strings and bytes count too.
        #expect(error(SaslHandshakeRequest.self, 0, [0, 3, 0x61, 0x62, 0x63], memoryLimit: 3) == nil)
        #expect(error(SaslHandshakeRequest.self, 0, [0, 3, 0x61, 0x62, 0x63], memoryLimit: 2) == .outOfRange)
        #expect(error(SaslAuthenticateRequest.self, 0, [0, 0, 0, 3, 1, 2, 3], memoryLimit: 2) == .outOfRange)
    }

    @Test func unknownTaggedFieldsArePassedOverUpToABound() {
        // ListGroups 3 is nothing but tagged fields.
        func fields(_ count: Int) -> [UInt8] {
            var buffer = ByteBuffer()
            buffer.append(unsignedVarInt: UInt64(count))
            for tag in 0..<count {
                buffer.append(unsignedVarInt: UInt64(tag + 1000))
                buffer.append(unsignedVarInt: 1)
                buffer.append(7 as UInt8)
            }
            return [UInt8](buffer.bytes)
        }
        #expect(error(ListGroupsRequest.self, 3, fields(1)) == nil)
        #expect(error(ListGroupsRequest.self, 3, fields(KafkaReader.taggedFieldLimit)) == nil)
        #expect(error(ListGroupsRequest.self, 3, fields(KafkaReader.taggedFieldLimit + 1)) == .outOfRange)
        // A size beyond the bytes.
        #expect(error(ListGroupsRequest.self, 3, [1, 9, 2, 0]) == .truncated)
    }

    @Test func aKnownTaggedFieldMustBeAsLongAsItSays() {
        let head: [UInt8] = [0, 0, 1, 0, 0, 0, 0]
        // The epoch of the finalized features, tag 1, has eight bytes.
        #expect(error(ApiVersionsResponse.self, 3, head + [1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 5]) == nil)
        #expect(error(ApiVersionsResponse.self, 3, head + [1, 1, 7, 0, 0, 0, 0, 0, 0, 0, 5]) == .outOfRange)
        #expect(error(ApiVersionsResponse.self, 3, head + [1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 5, 0]) == .outOfRange)
    }

    @Test func aHeaderOfWhatWeDoNotSupportIsReadAsFarAsItIsCertain() throws {
        for (bytes, support): ([UInt8], RequestHeader.Support) in [
            ([0x03, 0xE8, 0, 1, 0, 0, 0, 9], .unknownKey), ([0, 18, 0, 99, 0, 0, 0, 9], .unsupportedVersion(.apiVersions)),
            ([0, 18, 0xFF, 0xFF, 0, 0, 0, 9], .unsupportedVersion(.apiVersions)),
        ] {
            var reader = KafkaReader(bytes.rawSpan)
            let header = try RequestHeader(from: &reader)
            #expect(header.api == support && header.correlationID == 9 && header.clientID == nil)
        }
        for count in 0..<8 {
            let cut = [UInt8](repeating: 0, count: count)
            let understood = decodeAnyKafkaHeader(cut.rawSpan)
            #expect(!understood)
        }
    }

    @Test func rangesCountFromTheStartOfTheInputWhenAFrameLiesInIt() throws {
        let message = MessageFacts.of(.produce, isRequest: true)
        let frame = MessageMaker.bytes(message, version: 9, seed: 3)
        let input = [UInt8](repeating: 0xAA, count: 11) + frame + [UInt8](repeating: 0xBB, count: 5)
        var alone = KafkaReader(frame.rawSpan)
        var inside = KafkaReader(input.rawSpan, frame: ByteRange(start: 11, count: frame.count))
        let one = try ProduceRequest(from: &alone, version: 9)
        let other = try ProduceRequest(from: &inside, version: 9)
        let position = inside.position
        #expect(position == 11 + frame.count)
        let ranges = one.topicData.flatMap(\.partitionData).compactMap(\.records)
        let shifted = other.topicData.flatMap(\.partitionData).compactMap(\.records)
        #expect(!ranges.isEmpty)
        #expect(shifted == ranges.map { ByteRange(start: $0.start + 11, count: $0.count) })
    }

    /// Where the session references stored slices, the pieces round them must add up to the same bytes.
    @Test func aFetchResponseWrittenInPartsIsTheWholeOne() throws {
        let message = MessageFacts.of(.fetch, isRequest: false)
        for version in message.versions {
            for seed in 0..<20 as Range<UInt64> {
                let whole = MessageMaker.bytes(message, version: version, seed: seed)
                var reader = KafkaReader(whole.rawSpan)
                let response = try FetchResponse(from: &reader, version: version)
                var buffer = ByteBuffer()
                let frame = ResponseFrame(.fetch, version: version, correlationID: 5, to: &buffer)
                let head = buffer.count
                var referenced: [UInt8] = []
                response.encodeHead(to: &buffer, version: version, count: response.responses.count)
                for topic in response.responses {
                    topic.encodeHead(to: &buffer, version: version, count: topic.partitions.count)
                    for partition in topic.partitions {
                        partition.encodeHead(to: &buffer, version: version, recordsByteCount: partition.records?.count)
                        if let records = partition.records { referenced += whole[records.indices] }
                        partition.encodeTail(to: &buffer, version: version)
                    }
                    topic.encodeTail(to: &buffer, version: version)
                }
                response.encodeTail(to: &buffer, version: version)
                frame.end(in: &buffer, referencedBytes: referenced.count)
                #expect(buffer.count - head + referenced.count == whole.count)
                var size = KafkaReader(buffer.bytes)
                let declared: Int32 = try size.integer()
                #expect(Int(declared) == buffer.count - 4 + referenced.count)
            }
        }
    }
}
