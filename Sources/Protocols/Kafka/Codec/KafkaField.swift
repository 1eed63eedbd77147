/// One field of a request as the facts have it: for whoever makes requests without knowing their Swift types.
struct KafkaField: Sendable {
    enum Kind: Equatable, Sendable {
        /// So many bytes.
        case integer(Int)
        case bool, float64, uuid, string, bytes, records, structure
    }

    let name: String
    let kind: Kind
    let versions: ClosedRange<Int16>
    let isArray: Bool
    let nullable: ClosedRange<Int16>?
    let tag: UInt64?
    let fields: [KafkaField]

    init(
        _ name: String, _ kind: Kind, _ versions: ClosedRange<Int16>, isArray: Bool = false, nullable: ClosedRange<Int16>? = nil, tag: UInt64? = nil,
        fields: [KafkaField] = []
    ) {
        self.name = name
        self.kind = kind
        self.versions = versions
        self.isArray = isArray
        self.nullable = nullable
        self.tag = tag
        self.fields = fields
    }
}
