#if MUTANTS
    internal import Glibc
#endif

/// A seeded bug: one that the harnesses must find (docs/reliability.md). At most one is active, and only in builds made for tests.
///
/// Names are literals and no enumeration, so that nothing of them is left in a release binary; `tools/tidy` holds them against the list.
/// Without `@usableFromInline` here nothing would be inlined elsewhere, and all of them would be there.
@usableFromInline
package enum Mutant {
    #if MUTANTS
        /// What the environment says, unless `with` says otherwise on this thread.
        @TaskLocal private static var active: String? = environment

        private static var environment: String? {
            guard let value = unsafe getenv("MUTANT") else { return nil }
            // Safety: text that ends in 0, copied at once; nobody changes the environment.
            return unsafe String(cString: value)
        }

        /// Whether the bug of this name is to show itself.
        package static func isActive(_ name: StaticString) -> Bool {
            guard let active else { return false }
            return active == name.description
        }

        /// Runs `body` with this bug active, on this thread alone. nil: with none.
        package static func with<Result, Failure: Error>(_ name: String?, _ body: () throws(Failure) -> Result) throws(Failure) -> Result {
            var failure: Failure?
            let result: Result? = $active.withValue(name) {
                do throws(Failure) { return try body() } catch {
                    failure = error
                    return nil
                }
            }
            if let failure { throw failure }
            guard let result else { preconditionFailure("neither a result nor an error") }
            return result
        }

        /// Whether this build can have any.
        package static let areThere = true
    #else
        /// Never: this build has no seeded bugs.
        @inlinable @inline(__always) package static func isActive(_ name: StaticString) -> Bool { false }

        package static func with<Result, Failure: Error>(_ name: String?, _ body: () throws(Failure) -> Result) throws(Failure) -> Result { try body() }

        package static let areThere = false
    #endif
}
