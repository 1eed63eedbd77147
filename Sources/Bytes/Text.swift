extension String {
    /// Text of `bytes` when they are UTF-8.
    package init?(validatingBytes bytes: RawSpan) {
        // Safety: the pointer is used inside the closure only.
        let text = unsafe bytes.withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
        guard let text else { return nil }
        self = text
    }

    /// Text of `bytes`, with U+FFFD for what is not UTF-8.
    package init(decodingBytes bytes: RawSpan) {
        // Safety: the pointer is used inside the closure only.
        self = unsafe bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}

extension Array where Element == UInt8 {
    /// A copy of `bytes`.
    package init(_ bytes: RawSpan) {
        // Safety: the pointer is used inside the closure only.
        self = unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
    }

    /// Copies `bytes` to the end.
    package mutating func append(_ bytes: RawSpan) {
        // Safety: the pointer is used inside the closure only.
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }

    /// The elements as raw memory; the span lives as long as the array is borrowed.
    package var rawSpan: RawSpan {
        @_lifetime(borrow self) get {
            // Safety: `span.bytes` of a trivial element type reads initialised memory only.
            unsafe span.bytes
        }
    }
}

extension RawSpan {
    package func equals(_ other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        // Safety: both pointers are used inside the closures only.
        return unsafe withUnsafeBytes { left in unsafe other.withUnsafeBytes { right in unsafe left.elementsEqual(right) } }
    }
}
