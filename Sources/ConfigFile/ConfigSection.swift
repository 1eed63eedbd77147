/// One mapping of the configuration file (or of nothing: all defaults). Filled by its first commit.
package struct ConfigSection: Sendable {
    package init() {}
}
/// What is wrong with a configuration, and where. Filled by its first commit.
package struct ConfigError: Error, Sendable {
}
