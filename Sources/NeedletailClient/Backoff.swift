/// How long to wait before the next attempt to connect: doubling from `first` to `most`, each time a random part of it, so that a
/// thousand clients of a restarted broker do not come back in the same millisecond ("full jitter", with a floor of a quarter).
struct Backoff: Sendable {
    let first: Duration
    let most: Duration
    private var attempts = 0

    init(first: Duration, most: Duration) {
        self.first = first
        self.most = most
    }

    /// The wait before the next attempt.
    mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        // 2^20 times any sensible first wait is above every sensible bound.
        let ceiling = min(most, first * (1 << min(attempts, 20)))
        attempts += 1
        return ceiling * Double.random(in: 0.25...1, using: &random)
    }

    /// A connection stood: start over.
    mutating func reset() { attempts = 0 }
}
