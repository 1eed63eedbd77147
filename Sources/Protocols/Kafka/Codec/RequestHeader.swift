internal import Bytes

/// What stands before every request.
///
///     | size | api key | version | correlation | client id       | tagged fields
///       i32    i16       i16       i32           nullable string   flexible versions only (header version 2)
///
/// The client id has the old form of a string in both header versions. The reader stands behind the size when a header is read.
struct RequestHeader: Equatable, Sendable {
    /// The API's number as sent; `api` says whether we know it.
    var key: Int16
    var version: Int16
    /// Repeated in the response.
    var correlationID: Int32
    /// Where the client's name lies in the input; nil when it has none, or when the request is not understood.
    var clientID: ByteRange?

    /// Whether the request behind the header can be read.
    var api: Support {
        guard let known = KafkaAPIKey(rawValue: key) else { return .unknownKey }
        return known.validVersions.contains(version) ? .supported(known) : .unsupportedVersion(known)
    }

    enum Support: Equatable, Sendable {
        case supported(KafkaAPIKey)
        case unsupportedVersion(KafkaAPIKey)
        case unknownKey
    }

    init(key: Int16, version: Int16, correlationID: Int32, clientID: ByteRange? = nil) {
        self.key = key
        self.version = version
        self.correlationID = correlationID
        self.clientID = clientID
    }

    /// Of a request that we do not support the first three fields are read and nothing else: what follows has a layout that we do not know.
    @_lifetime(reader: copy reader)
    init(from reader: inout KafkaReader) throws(ByteError) {
        self.init(key: try reader.integer(), version: try reader.integer(), correlationID: try reader.integer())
        guard case .supported(let known) = api else { return }
        clientID = try reader.nullableStringRange()
        if known.isFlexible(version) { try reader.skipTaggedFields() }
    }

    /// Writes a header with the name `client`, behind the size.
    func encode(to buffer: inout ByteBuffer, client: String?) {
        buffer.append(big: key)
        buffer.append(big: version)
        buffer.append(big: correlationID)
        buffer.append(nullableString: client, compact: false)
        if KafkaAPIKey(rawValue: key)?.isFlexible(version) == true { buffer.appendNoTaggedFields() }
    }
}

extension KafkaAPIKey {
    /// Whether lengths are compact and structures end in tagged fields.
    func isFlexible(_ version: Int16) -> Bool {
        guard let flexibleFrom else { return false }
        return version >= flexibleFrom
    }

    /// Whether a response's header ends in tagged fields (header version 1). That of ApiVersions never does: it is read by clients that
    /// do not know yet what the server speaks.
    func hasFlexibleResponseHeader(_ version: Int16) -> Bool { self != .apiVersions && isFlexible(version) }
}
