import Observability
import SegmentLog

/// Prints one segment file.
struct SegmentDump {
    private let invocation: Invocation
    private let path: String

    init(_ invocation: Invocation, _ path: String) {
        self.invocation = invocation
        self.path = path
    }

    /// Answers whether everything in the file is whole.
    func run(_ storage: any LogStorage) throws -> Bool {
        let isJSON = invocation.has("json")
        var inspector = try SegmentInspector(path: path, storage: storage)
        if !isJSON { invocation.console.print(invocation.console.style.bold(path)) }
        var isWhole = true
        var batches = 0
        var records: Int64 = 0
        while let batch = try inspector.next() {
            batches += 1
            records += Int64(batch.header.recordCount)
            if !batch.isIntact { isWhole = false }
            if !invocation.has("records") || !isJSON { invocation.console.print(isJSON ? JSON.object(json(batch)).description : line(batch)) }
            if invocation.has("records") { show(batch, isJSON) }
        }
        let (position, fault) = inspector.end
        if fault != nil { isWhole = false }
        let end = fault.map { "no batch at \(position): \($0)" } ?? "end of batches at \(position)"
        let summary = "\(Figures.count(Int64(batches))) batches, \(Figures.count(records)) records; \(end) of \(inspector.fileBytes) bytes"
        if isJSON {
            if let fault { invocation.console.complain("\(path): no batch at \(position): \(fault)") }
        } else {
            invocation.console.print(summary)
        }
        return isWhole
    }

    private func line(_ batch: InspectedBatch) -> String {
        let header = batch.header
        var text = "\(batch.position): offsets \(header.baseOffset)–\(header.lastOffset), \(header.recordCount) records, \(header.totalByteCount) bytes"
        text += ", \(UTCTime(milliseconds: header.maxTimestamp.rawValue)), incarnation \(header.leaderEpoch)"
        if header.producerID >= 0 { text += ", producer \(header.producerID)/\(header.producerEpoch) from \(header.baseSequence)" }
        if let name = header.compressionName { text += ", \(name)" }
        if header.isTransactional { text += ", transactional" }
        if header.isControl { text += ", control" }
        return text + (batch.isIntact ? "" : invocation.console.style.red(", CHECKSUM DOES NOT HOLD"))
    }

    private func json(_ batch: InspectedBatch) -> [(String, JSON)] {
        let header = batch.header
        return [
            ("position", .integer(Int64(batch.position))), ("base_offset", .integer(header.baseOffset.rawValue)),
            ("last_offset", .integer(header.lastOffset.rawValue)), ("records", .integer(Int64(header.recordCount))),
            ("bytes", .integer(Int64(header.totalByteCount))), ("max_time", .text(UTCTime(milliseconds: header.maxTimestamp.rawValue).description)),
            ("incarnation", .integer(Int64(header.leaderEpoch))), ("producer", .integer(header.producerID)),
            ("producer_epoch", .integer(Int64(header.producerEpoch))), ("sequence", .integer(Int64(header.baseSequence))),
            ("attributes", .integer(Int64(header.attributes))), ("crc", .integer(Int64(header.crc))), ("intact", .flag(batch.isIntact)),
        ]
    }

    private func show(_ batch: InspectedBatch, _ isJSON: Bool) {
        guard let (records, isComplete) = batch.records() else {
            invocation.console.complain("\(path): the records of the batch at \(batch.position) cannot be decompressed")
            return
        }
        for record in records { invocation.console.print(isJSON ? JSON.object(json(record)).description : line(record)) }
        if !isComplete { invocation.console.complain("\(path): the records of the batch at \(batch.position) cannot all be read") }
    }

    private func line(_ record: InspectedRecord) -> String {
        func shown(_ bytes: [UInt8]?) -> String { bytes.map { "\"\(TerminalText.shown(Array($0.prefix(200))))\($0.count > 200 ? "…" : "")\"" } ?? "null" }
        var text = "    \(record.offset)  \(UTCTime(milliseconds: record.timestamp.rawValue))"
        if record.key != nil { text += "  key \(shown(record.key))" }
        text += "  \(shown(record.value))"
        for header in record.headers { text += "  \(TerminalText.shown(header.name))=\(shown(header.value))" }
        return text
    }

    private func json(_ record: InspectedRecord) -> [(String, JSON)] {
        let headers = record.headers.map { header in JSON.object([("name", .text(header.name)), TerminalText.json("value", header.value)]) }
        return [
            ("offset", .integer(record.offset.rawValue)), ("time", .text(UTCTime(milliseconds: record.timestamp.rawValue).description)),
            TerminalText.json("key", record.key), TerminalText.json("payload", record.value), ("headers", .list(headers)),
        ]
    }
}
