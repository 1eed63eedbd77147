/// A bound of one connection that its session keeps, by the key of the configuration.
package enum SessionLimit: String, CaseIterable, Sendable {
    case frameSize = "frame_size"
    case handshakeSize = "handshake_size"
    case handshakeTimeout = "handshake_timeout"
    case listingsPerSession = "listings_per_session"
    case descriptionsPerSession = "descriptions_per_session"
}
