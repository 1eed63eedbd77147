import Bytes
import Testing

@testable import KafkaProtocol

/// Every message at every version, from bytes that were made out of the facts.
@Suite struct GeneratedCodecTests {
    @Test func everyAPIHasFactsOfBothSidesAndTheSameVersions() {
        #expect(MessageFacts.all.count == KafkaAPIKey.allCases.count * 2)
        for message in MessageFacts.all {
            #expect(message.versions == message.key.validVersions, "\(message.testDescription)")
            #expect(message.flexible?.lowerBound == message.key.flexibleFrom, "\(message.testDescription)")
        }
    }

    @Test(arguments: MessageFacts.all)
    func whatIsReadIsWrittenAgainByteForByte(_ message: MessageFacts) throws {
        for version in message.versions {
            for seed in 0..<40 as Range<UInt64> {
                let bytes = MessageMaker.bytes(message, version: version, seed: seed)
                let again = try message.recode(bytes, version: version)
                #expect(again == bytes, "\(message.testDescription) version \(version) seed \(seed)")
            }
        }
    }

    @Test(arguments: MessageFacts.all)
    func everyTruncationIsAnError(_ message: MessageFacts) {
        for version in message.versions {
            let bytes = MessageMaker.bytes(message, version: version, seed: 7)
            for count in 0..<bytes.count {
                #expect(throws: ByteError.self, "\(message.testDescription) version \(version) cut to \(count)") {
                    _ = try message.recode(Array(bytes[..<count]), version: version)
                }
            }
        }
    }

    @Test(arguments: MessageFacts.all)
    func bytesBehindTheMessageAreAnError(_ message: MessageFacts) {
        for version in message.versions {
            let bytes = MessageMaker.bytes(message, version: version, seed: 8)
            #expect(throws: ByteError.self) { _ = try message.recode(bytes + [0], version: version) }
        }
    }

    @Test(arguments: MessageFacts.all)
    func changedBytesAreReadOrRefusedAndNeverTrap(_ message: MessageFacts) {
        for version in message.versions {
            var random = Seeded(seed: UInt64(version.magnitude))
            for seed in 0..<40 as Range<UInt64> {
                var bytes = MessageMaker.bytes(message, version: version, seed: seed)
                guard !bytes.isEmpty else { continue }
                for _ in 0..<(1 + random.next(below: 4)) {
                    let extremes: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF]
                    bytes[random.next(below: bytes.count)] = random.next(below: 2) == 0 ? extremes[random.next(below: 5)] : UInt8(random.next(below: 256))
                }
                // What is understood in spite of that is written to something that is understood alike.
                guard let once = try? message.recode(bytes, version: version) else { continue }
                let twice = try? message.recode(once, version: version)
                #expect(twice == once, "\(message.testDescription) version \(version) seed \(seed)")
            }
        }
    }

    @Test func randomBytesNeverTrap() {
        var random = Seeded(seed: 1)
        for _ in 0..<20_000 {
            let bytes = (0..<(3 + random.next(below: 60))).map { _ in UInt8(random.next(below: random.next(below: 3) == 0 ? 256 : 6)) }
            _ = decodeAnyKafkaMessage(bytes.rawSpan)
            _ = decodeAnyKafkaHeader(bytes.rawSpan)
        }
    }
}
