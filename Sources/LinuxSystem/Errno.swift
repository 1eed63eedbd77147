internal import CLinux

/// An error number of the system.
package struct Errno: RawRepresentable, Error, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: Int32

    package init(rawValue: Int32) { self.rawValue = rawValue }
    package init(_ rawValue: Int32) { self.rawValue = rawValue }

    package static let interrupted = Errno(4)
    package static let inputOutput = Errno(5)
    package static let badDescriptor = Errno(9)
    package static let noEntry = Errno(2)
    package static let wouldBlock = Errno(11)
    package static let outOfMemory = Errno(12)
    package static let badAddress = Errno(14)
    package static let busy = Errno(16)
    package static let exists = Errno(17)
    package static let isDirectory = Errno(21)
    package static let invalid = Errno(22)
    package static let fileTableFull = Errno(23)
    package static let tooManyFiles = Errno(24)
    package static let noSpace = Errno(28)
    package static let brokenPipe = Errno(32)
    package static let nameTooLong = Errno(36)
    package static let notImplemented = Errno(38)
    package static let timeExpired = Errno(62)
    package static let protocolError = Errno(71)
    package static let notSocket = Errno(88)
    package static let notSupported = Errno(95)
    package static let addressInUse = Errno(98)
    package static let connectionAborted = Errno(103)
    package static let connectionReset = Errno(104)
    package static let noBuffers = Errno(105)
    package static let timedOut = Errno(110)
    package static let connectionRefused = Errno(111)
    package static let already = Errno(114)
    package static let inProgress = Errno(115)
    package static let cancelled = Errno(125)

    /// The system's own words: `No space left on device`.
    package var description: String {
        // Safety: the C function writes at most `count` bytes with a terminating zero into the buffer.
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { text in
            unsafe sys_error_text(rawValue, text.baseAddress, text.count)
            return unsafe String(cString: text.baseAddress.unsafelyUnwrapped)
        }
    }

    /// Turns the convention of CLinux and liburing (negated error numbers) into a typed throw.
    @discardableResult
    package static func check<T: SignedInteger>(_ result: T) throws(Errno) -> T {
        guard result >= 0 else { throw Errno(Int32(truncatingIfNeeded: -result)) }
        return result
    }
}
