internal import CUring
package import LinuxSystem

/// What an operation is known by from submission to completion: what it is, whose, and which user of that place. A completion
/// whose generation is not the place's any more belongs to nobody.
package struct OperationID: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// - Parameter generation: its low 24 bits count.
    package init(kind: UInt8, generation: UInt32, slot: UInt32) {
        rawValue = UInt64(kind) << 56 | UInt64(generation & 0xff_ffff) << 32 | UInt64(slot)
    }

    /// Set in the kinds of messages that other rings send: they end no operation of this one.
    package static let messageKind: UInt8 = 0x80
    var isMessage: Bool { kind & OperationID.messageKind != 0 }

    package var kind: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 56) }
    package var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) & 0xff_ffff }
    package var slot: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}

/// One step of an operation, usually its last.
package struct Completion: Sendable {
    package let id: OperationID
    /// A count, a descriptor or the like; a negated error number when it failed.
    package let result: Int32
    private let flags: UInt32

    init(id: OperationID, result: Int32, flags: UInt32) {
        self.id = id
        self.result = result
        self.flags = flags
    }

    /// The operation goes on (multishot); else this was its last completion.
    package var hasMore: Bool { flags & UInt32(IORING_CQE_F_MORE) != 0 }
    /// The provided buffer that the bytes are in, to be recycled.
    package var buffer: UInt16? { flags & UInt32(IORING_CQE_F_BUFFER) != 0 ? UInt16(truncatingIfNeeded: flags >> 16) : nil }
    package var error: Errno? { result < 0 ? Errno(-result) : nil }
}
