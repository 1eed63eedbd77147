import Testing

@testable import Observability

/// Goal: every value falls in a cell that is at most 1/64 wide of it, and quantiles never understate what was measured.
@Suite struct HistogramTests {
    private let values: [UInt64] = [0, 1, 63, 64, 65, 127, 128, 129, 1_000, 999_999, 1 << 30, 3 << 40, Histogram.limit]

    @Test func cellsCoverAllValuesWithoutGaps() {
        for cell in 0..<Histogram.cellCount {
            let upper = Histogram.upperBound(of: cell)
            #expect(Histogram.cell(of: upper) == cell)
            #expect(upper == Histogram.limit || Histogram.cell(of: upper + 1) == cell + 1)
        }
    }

    @Test func aCellIsAtMostOneSixtyFourthWide() {
        for value in values { #expect(Histogram.upperBound(of: Histogram.cell(of: value)) - value <= value / 64) }
    }

    @Test func quantilesOfKnownValuesAreRight() {
        let histogram = Histogram()
        for value in 1...10_000 { histogram.record(UInt64(value) * 1_000) }
        let snapshot = histogram.snapshot()
        #expect(snapshot.count == 10_000)
        #expect(snapshot.mean == 5_000_500)
        #expect(snapshot.greatest == 10_000_000)
        for (fraction, exact) in [(0.5, 5_000_000), (0.99, 9_900_000), (0.999, 9_990_000), (0.9999, 9_999_000), (1, 10_000_000)] as [(Double, UInt64)] {
            let quantile = snapshot.quantile(fraction)
            #expect(quantile >= exact)
            #expect(quantile <= exact + exact / 64)
        }
    }

    @Test func nothingRecordedIsZero() {
        #expect(HistogramSnapshot().quantile(0.99) == 0)
        #expect(HistogramSnapshot().mean == 0)
    }

    @Test func timesBeyondTheLimitCountAsTheLimit() {
        let histogram = Histogram()
        histogram.record(.max)
        #expect(histogram.snapshot().quantile(0.5) == Histogram.limit)
    }

    @Test func mergingIsRecordingTogether() {
        let left = Histogram()
        let right = Histogram()
        let both = Histogram()
        for (index, value) in values.enumerated() {
            (index % 2 == 0 ? left : right).record(value, count: 3)
            both.record(value, count: 3)
        }
        var merged = left.snapshot()
        merged.merge(right.snapshot())
        #expect(merged == both.snapshot())
    }

    @Test func whatCameSinceIsTheDifference() {
        let histogram = Histogram()
        histogram.record(1_000_000)
        let earlier = histogram.snapshot()
        histogram.record(500)
        let since = histogram.snapshot().since(earlier)
        #expect(since.count == 1)
        #expect(since.sum == 500)
        #expect((500...508).contains(since.greatest))
    }
}
