import Containers
import Testing

private final class Guest: RosterMember {
    let number: Int
    var hasLeft = false
    init(_ number: Int) { self.number = number }
}

struct RosterTests {
    private func leave(_ roster: inout Roster<Guest>, _ guest: Guest) {
        guest.hasLeft = true
        roster.oneHasLeft()
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func itHoldsWhoIsHereInTheOrderInWhichTheyCame(seed: UInt64) {
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var roster = Roster<Guest>()
        var here: [Guest] = []
        for number in 0..<2_000 {
            if random(9) < 4, !here.isEmpty {
                leave(&roster, here.remove(at: random(3) == 0 ? 0 : random(here.count)))
            } else {
                let guest = Guest(number)
                roster.append(guest)
                here.append(guest)
            }
            #expect(roster.count == here.count && roster.isEmpty == here.isEmpty && roster.first === here.first)
            if number % 50 == 0 { #expect(roster.map(\.number) == here.map(\.number)) }
        }
        for guest in here { leave(&roster, guest) }
        #expect(roster.isEmpty && roster.first == nil && Array(roster).isEmpty)
    }

    @Test func whoLeavesWhileItIsGoneThroughIsPassedOver() {
        var roster = Roster<Guest>()
        let guests = (0..<6).map { Guest($0) }
        for guest in guests { roster.append(guest) }
        var seen: [Int] = []
        for guest in roster {
            seen.append(guest.number)
            if guest.number == 1 { for other in [0, 2, 3, 5] { leave(&roster, guests[other]) } }
        }
        #expect(seen == [0, 1, 4])
        #expect(roster.map(\.number) == [1, 4])
    }

    /// One that searches for each takes minutes.
    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func aHundredThousandLeaveTogether(firstComeFirst: Bool) {
        var roster = Roster<Guest>()
        let guests = (0..<100_000).map { Guest($0) }
        for guest in guests { roster.append(guest) }
        for guest in firstComeFirst ? guests : guests.reversed() { leave(&roster, guest) }
        #expect(roster.isEmpty)
    }

    @Test func nobodyWhoLeftIsKeptForLong() {
        var roster = Roster<Guest>()
        weak var last: Guest?
        do {
            let guest = Guest(1)
            last = guest
            roster.append(guest)
            leave(&roster, guest)
        }
        #expect(last == nil)
    }
}
