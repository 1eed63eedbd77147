/// A promise that was broken: which one, and how.
package struct Violation: Error, Equatable, Sendable, CustomStringConvertible {
    package var claim: Claim
    package var text: String

    /// The promises, by the names of the reliability manual (docs/reliability.md).
    package enum Claim: String, Sendable, CaseIterable {
        /// L1: what was acknowledged is there.
        case lostWrite = "L1 lost write"
        /// L2: what is read was written.
        case phantom = "L2 phantom"
        /// L3: an offset has one value for ever.
        case inconsistentOffset = "L3 inconsistent offset"
        /// L4, S-a: offsets are dense and in the order of appending.
        case disorder = "L4 disorder"
        /// L5: no hole between reads.
        case pollSkip = "L5 poll skip"
        /// L6: an idempotent producer's retry is stored once.
        case duplicate = "L6 duplicate"
        /// L7: what was settled and confirmed stays so.
        case lostSettlement = "L7 lost settlement"
        /// L8: the start moves by trimming and retention only.
        case earlyRemoval = "L8 early removal"
        /// L9: after the faults end everything goes on.
        case noProgress = "L9 no progress"
        /// L10: the time index agrees with the records.
        case timeIndex = "L10 time index"
        /// S-b: recovering twice is recovering once.
        case unstableRecovery = "S-b unstable recovery"
        /// S-c: damage to durable data is told, never passed over.
        case silentDamage = "S-c silent damage"
        /// S-d: recovery reads what may be torn, once.
        case slowRecovery = "S-d slow recovery"
        /// No violation where there is damage: a checksum or the log told it.
        case toldByReading = "S-c damage told by reading"
        /// The same seed is the same run: nothing depends on the order of a dictionary, an address or a clock.
        case unstableRun = "unstable run"
        /// Q9: what was published is settled, dead, dropped, purged, ready or in flight, by the broker's own figures.
        case miscount = "Q9 miscount"
        /// Recovery refuses only what is damaged.
        case falseAlarm = "S-c false alarm"
        /// S8: after an error of the disk nothing more is acknowledged.
        case acknowledgedAfterError = "S8 acknowledged after an error"
        /// Consumers see durable records only.
        case visibleTooEarly = "S-e visible before durable"
        /// Memory or files that were not given back.
        case leak = "leak"
        /// Q3: one delivery of a message at a time.
        case overlappingDelivery = "Q3 overlapping delivery"
        /// Q4: no delivery after a confirmed settlement; others are flagged.
        case deliveredAfterSettling = "Q4 delivered after settling"
        /// Q5: the count of attempts is right.
        case wrongAttempt = "Q5 wrong attempt"
        /// Q6: first deliveries to one consumer come in order.
        case queueDisorder = "Q6 queue disorder"
        /// Q7: no more than the credit.
        case creditExceeded = "Q7 credit exceeded"
        /// A peer, or the machine, was treated against its contract.
        case contract = "contract"
    }

    package init(_ claim: Claim, _ text: String) {
        self.claim = claim
        self.text = text
    }

    package var description: String { "\(claim.rawValue): \(text)" }
}
