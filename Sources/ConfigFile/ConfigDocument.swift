/// A whole configuration: the file (or none) with what stands above it.
///
/// Its owner reads everything through `root` and then calls `root.finish()`, which throws all faults at once: those of the text,
/// of the values, and the keys that nobody asked for.
package struct ConfigDocument {
    package let root: ConfigSection
    package let overlay: ConfigOverlay

    /// Only defaults, and what stands above them.
    package init(overlay: ConfigOverlay = ConfigOverlay()) {
        self.overlay = overlay
        root = ConfigSection(path: "", node: YAMLNode(.null, .builtIn), overlay: overlay)
    }

    /// - Parameter path: how the file is called in messages; it is not opened here.
    package init(_ bytes: [UInt8], path: String, overlay: ConfigOverlay = ConfigOverlay()) {
        self.overlay = overlay
        let tree = YAMLTree(bytes, path: path)
        root = ConfigSection(path: "", node: tree.root, overlay: overlay, faults: tree.faults)
    }
}
