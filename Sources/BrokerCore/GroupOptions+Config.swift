package import ConfigFile

/// The section `groups` of the configuration.
extension GroupOptions {
    package init(_ options: ConfigSection) throws(ConfigError) {
        self.init()
        func time(_ key: String, _ value: Int64, from least: Duration) -> Int64 {
            options.duration(key, default: .milliseconds(value), in: least ... .seconds(3_650 * 86_400)).milliseconds
        }
        let delay = options.duration(
            "initial_rebalance_delay", default: .milliseconds(Int64(initialRebalanceMilliseconds)), in: .zero ... .seconds(60))
        initialRebalanceMilliseconds = UInt64(clamping: delay.milliseconds)
        let bounds = sessionTimeoutMilliseconds
        let least = options.duration("session_timeout_min", default: .milliseconds(bounds.lowerBound), in: .milliseconds(100) ... .seconds(3_600)).milliseconds
        let most = options.duration("session_timeout_max", default: .milliseconds(bounds.upperBound), in: .milliseconds(100) ... .seconds(86_400)).milliseconds
        if least > most { options.fault("session_timeout_min", "is longer than session_timeout_max") }
        sessionTimeoutMilliseconds = min(least, most)...most
        offsetsRetentionMilliseconds = time("offsets_retention", offsetsRetentionMilliseconds, from: .seconds(1))
        try options.finish()
    }
}
