import Bytes
import Testing

@testable import KafkaProtocol

/// `tools/kafka-codec/vectors.txt`: every message at every version as Apache Kafka's own classes write it, and the versions that Kafka
/// has given up as kafka-python wrote them. What we read of them we write again byte for byte.
@Suite struct GoldenVectorTests {
    struct Vector: Sendable {
        var message: String
        var version: Int16
        var bytes: [UInt8]
    }

    static let all: [Vector] = linesOfCodecFile("vectors.txt").compactMap { line in
        let words = line.split(separator: " ").map(String.init)
        guard let name = words.first, name != "#", let version = Int16(words[1]) else { return nil }
        return Vector(message: name, version: version, bytes: KafkaProtocolTests.bytes(hex: words.count > 2 ? words[2] : ""))
    }

    @Test(arguments: MessageFacts.all)
    func everyVersionHasAVectorThatIsWrittenAgainByteForByte(_ message: MessageFacts) throws {
        let vectors = GoldenVectorTests.all.filter { $0.message == message.testDescription }
        // kafka-python never had the right layout of this one, and Kafka has none any more; version 1 is the same.
        let without: Set<Int16> = message.testDescription == "DescribeLogDirsRequest" ? [0] : []
        #expect(Set(vectors.map(\.version)).union(without) == Set(message.versions))
        for vector in vectors {
            let again = try message.recode(vector.bytes, version: vector.version)
            #expect(again == vector.bytes, "\(vector.message) version \(vector.version)")
        }
    }

    @Test func requestHeadersAreWrittenAsKafkaDoes() throws {
        let vectors = GoldenVectorTests.all.filter { $0.message == "RequestHeader" }
        #expect(vectors.count == 3)
        for vector in vectors {
            // The vectors are of Metadata 9, which has header version 2; version 8 has header version 1.
            var expected = vector.bytes
            if vector.version == 1 { expected[3] = 8 }
            var reader = KafkaReader(expected.rawSpan)
            let header = try RequestHeader(from: &reader)
            let atEnd = reader.isAtEnd
            #expect(atEnd)
            #expect(header.key == 3 && header.version == (vector.version == 1 ? 8 : 9) && header.correlationID == 7)
            #expect(header.api == .supported(.metadata))
            let name = header.clientID.map { String(decoding: expected[$0.indices], as: UTF8.self) }
            #expect(name == (expected[8] == 0xFF ? nil : "bücher"))
            var written = ByteBuffer()
            header.encode(to: &written, client: name)
            #expect([UInt8](written.bytes) == expected)
        }
    }

    @Test func responseHeadersAreWrittenAsKafkaDoes() {
        for vector in GoldenVectorTests.all where vector.message == "ResponseHeader" {
            var buffer = ByteBuffer()
            let frame = ResponseFrame(.metadata, version: vector.version == 0 ? 8 : 9, correlationID: 7, to: &buffer)
            frame.end(in: &buffer)
            #expect([UInt8](buffer.bytes) == [0, 0, 0, UInt8(vector.bytes.count)] + vector.bytes)
        }
    }

    @Test func onlyApiVersionsHasTheOldResponseHeaderInItsFlexibleVersions() {
        for key in KafkaAPIKey.allCases {
            for version in key.validVersions {
                #expect(key.hasFlexibleResponseHeader(version) == (key.isFlexible(version) && key != .apiVersions))
            }
        }
    }
}
