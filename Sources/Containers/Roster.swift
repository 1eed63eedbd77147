/// Who belongs to a `Roster`, and says itself when it does no longer.
@usableFromInline
package protocol RosterMember: AnyObject {
    /// Once true, for ever.
    var hasLeft: Bool { get }
}

/// Those who are here, in the order in which they came. Whoever leaves is passed over, and taken out when half of all have left: that costs
/// the same however many there are, where a search for each would have many that leave together wait for the square of their number.
///
/// Invariant: `leftCount` of `all` have left, and said so; the one at `start` is here, those before it are not.
@usableFromInline
package struct Roster<Member: RosterMember>: Sequence {
    @usableFromInline var all: [Member] = []
    @usableFromInline var start = 0
    @usableFromInline var leftCount = 0

    @inlinable package init() {}

    @inlinable package var count: Int { all.count &- leftCount }
    @inlinable package var isEmpty: Bool { count == 0 }
    @inlinable package var first: Member? { start < all.count ? all[start] : nil }
    @inlinable package var underestimatedCount: Int { count }

    @inlinable package mutating func append(_ member: Member) { all.append(member) }

    /// To be called once for each that has left, before the next one does.
    @inlinable package mutating func oneHasLeft() {
        leftCount &+= 1
        while start < all.count, all[start].hasLeft { start &+= 1 }
        guard leftCount &* 2 > all.count else { return }
        all.removeAll { $0.hasLeft }
        (start, leftCount) = (0, 0)
    }

    /// Over those who were here when it began, but for those who leave meanwhile.
    @usableFromInline
    package struct Iterator: IteratorProtocol {
        @usableFromInline let all: [Member]
        @usableFromInline var index: Int

        @usableFromInline init(_ all: [Member], from start: Int) {
            self.all = all
            index = start
        }

        @inlinable package mutating func next() -> Member? {
            while index < all.count {
                let member = all[index]
                index &+= 1
                if !member.hasLeft { return member }
            }
            return nil
        }
    }

    @inlinable package func makeIterator() -> Iterator { Iterator(all, from: start) }
}
