import Mutants
import Testing

/// The switch of the seeded bugs. Which harness finds which bug: `tools/mutants`.
@Suite struct MutantTests {
    @Test func oneBugIsActiveForTheDurationOfACall() {
        #expect(Mutant.areThere, "tests are built for debugging")
        Mutant.with("one") {
            #expect(Mutant.isActive("one"))
            #expect(!Mutant.isActive("another"))
            Mutant.with(nil) { #expect(!Mutant.isActive("one")) }
            #expect(Mutant.isActive("one"))
        }
        #expect(!Mutant.isActive("one"))
    }

    @Test func whatTheCallThrowsIsThrown() {
        struct Failure: Error {}
        #expect(throws: Failure.self) { try Mutant.with("one") { () throws(Failure) in throw Failure() } }
        #expect(!Mutant.isActive("one"))
    }
}
