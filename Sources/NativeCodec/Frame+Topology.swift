package import Bytes

/// Topics and exchanges.
extension Frame {
    package struct CreateTopic: FrameBody {
        package static let type = FrameType.createTopic
        package var name: String
        package var options: TopicOptions
        package init(name: String, options: TopicOptions) {
            self.name = name
            self.options = options
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(text: name)
            options.write(to: &buffer)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> CreateTopic {
            CreateTopic(name: try reader.text(), options: try TopicOptions.read(&reader))
        }
    }

    package struct AlterTopic: FrameBody {
        package static let type = FrameType.alterTopic
        package static var knownFlags: UInt8 { 1 }
        package var flags: UInt8 { change.isLong ? 1 : 0 }
        package var name: String
        package var change: TopicChange
        package init(name: String, change: TopicChange) {
            self.name = name
            self.change = change
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(text: name)
            change.write(to: &buffer)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> AlterTopic {
            AlterTopic(name: try reader.text(), change: try TopicChange.read(&reader, isLong: flags & 1 != 0))
        }
    }

    package struct DeleteTopic: NameFrameBody {
        package static let type = FrameType.deleteTopic
        package var name: String
        package init(name: String) { self.name = name }
    }

    /// Answered with one topic; the way to learn an id before the first publish.
    package struct DescribeTopic: NameFrameBody {
        package static let type = FrameType.describeTopic
        package var name: String
        package init(name: String) { self.name = name }
    }

    package struct ListTopics: EmptyFrameBody {
        package static let type = FrameType.listTopics
        package init() {}
    }

    /// Asks for a memory topic of this connection alone, for the answers to its requests.
    package struct CreateReplyTopic: EmptyFrameBody {
        package static let type = FrameType.createReplyTopic
        package init() {}
    }

    package struct Topics: ListFrameBody {
        package static let type = FrameType.topics
        package var hasMore: Bool
        package var elements: [TopicDescription]
        package init(hasMore: Bool, elements: [TopicDescription]) {
            self.hasMore = hasMore
            self.elements = elements
        }
    }

    package struct TopicDescription: ListElement {
        package static let minSize = 72
        package var id: UInt32
        package var name: String
        package var options: TopicOptions
        package var partitions: [PartitionDescription]
        package init(id: UInt32, name: String, options: TopicOptions, partitions: [PartitionDescription]) {
            self.id = id
            self.name = name
            self.options = options
            self.partitions = partitions
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: id)
            buffer.append(text: name)
            options.write(to: &buffer)
            buffer.append(list: partitions)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader) throws(ByteError) -> TopicDescription {
            TopicDescription(
                id: try reader.little(), name: try reader.text(), options: try TopicOptions.read(&reader), partitions: try reader.list())
        }
    }

    package struct PartitionDescription: ListElement {
        package static let minSize = 42
        package var index: Int32
        package var start: Int64
        package var flushed: Int64
        package var end: Int64
        package var bytes: Int64
        package var segments: Int32
        /// Why the log takes no more writes; nil when it does.
        package var fault: String?
        package init(index: Int32, start: Int64, flushed: Int64, end: Int64, bytes: Int64, segments: Int32, fault: String?) {
            self.index = index
            self.start = start
            self.flushed = flushed
            self.end = end
            self.bytes = bytes
            self.segments = segments
            self.fault = fault
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: index)
            buffer.append(little: segments)
            buffer.append(little: start)
            buffer.append(little: flushed)
            buffer.append(little: end)
            buffer.append(little: bytes)
            buffer.append(optionalText: fault)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader) throws(ByteError) -> PartitionDescription {
            let index = try reader.little(Int32.self)
            let segments = try reader.little(Int32.self)
            return PartitionDescription(
                index: index, start: try reader.little(), flushed: try reader.little(), end: try reader.little(), bytes: try reader.little(),
                segments: segments, fault: try reader.optionalText())
        }
    }

    package struct CreateExchange: FrameBody {
        package static let type = FrameType.createExchange
        package var kind: ExchangeKind
        package var name: String
        package init(name: String, kind: ExchangeKind) {
            self.name = name
            self.kind = kind
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(kind.rawValue)
            buffer.append(text: name)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> CreateExchange {
            let kind = try reader.choice(ExchangeKind.self)
            return CreateExchange(name: try reader.text(), kind: kind)
        }
    }

    package struct DeleteExchange: NameFrameBody {
        package static let type = FrameType.deleteExchange
        package var name: String
        package init(name: String) { self.name = name }
    }

    package struct Bind: FrameBody {
        package static let type = FrameType.bind
        package var binding: Binding
        package init(binding: Binding) { self.binding = binding }

        package func write(to buffer: inout ByteBuffer) { binding.write(to: &buffer) }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Bind { Bind(binding: try Binding.read(&reader)) }
    }

    package struct Unbind: FrameBody {
        package static let type = FrameType.unbind
        package var binding: Binding
        package init(binding: Binding) { self.binding = binding }

        package func write(to buffer: inout ByteBuffer) { binding.write(to: &buffer) }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader, flags: UInt8) throws(ByteError) -> Unbind {
            Unbind(binding: try Binding.read(&reader))
        }
    }

    package struct ListExchanges: EmptyFrameBody {
        package static let type = FrameType.listExchanges
        package init() {}
    }

    /// Answered with one exchange.
    package struct FindExchange: NameFrameBody {
        package static let type = FrameType.findExchange
        package var name: String
        package init(name: String) { self.name = name }
    }

    package struct Exchanges: ListFrameBody {
        package static let type = FrameType.exchanges
        package var hasMore: Bool
        package var elements: [ExchangeDescription]
        package init(hasMore: Bool, elements: [ExchangeDescription]) {
            self.hasMore = hasMore
            self.elements = elements
        }
    }

    package struct ExchangeDescription: ListElement {
        package static let minSize = 11
        package var id: UInt32
        package var kind: ExchangeKind
        package var name: String
        package var bindings: [Binding]
        package init(id: UInt32, name: String, kind: ExchangeKind, bindings: [Binding]) {
            self.id = id
            self.name = name
            self.kind = kind
            self.bindings = bindings
        }

        package func write(to buffer: inout ByteBuffer) {
            buffer.append(little: id)
            buffer.append(kind.rawValue)
            buffer.append(text: name)
            buffer.append(list: bindings)
        }

        @_lifetime(reader: copy reader)
        package static func read(_ reader: inout ByteReader) throws(ByteError) -> ExchangeDescription {
            let id = try reader.little(UInt32.self)
            let kind = try reader.choice(ExchangeKind.self)
            return ExchangeDescription(id: id, name: try reader.text(), kind: kind, bindings: try reader.list())
        }
    }
}

extension Frame.Binding: ListElement {
    package static let minSize = 7
}
