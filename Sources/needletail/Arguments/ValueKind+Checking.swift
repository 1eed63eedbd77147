import ConfigFile

extension ValueKind {
    /// What is wrong with `text`, as the end of a sentence; nil when nothing is.
    func fault(in text: String) -> String? {
        switch self {
        case .text: return nil
        case .file, .directory: return text.isEmpty ? "is empty; allowed: a path" : nil
        case .integer(let range):
            if let number = Int(text), range.contains(number) { return nil }
            return "is no number in range; allowed: \(range.lowerBound) to \(range.upperBound == .max ? "any" : String(range.upperBound))"
        case .size: return ByteCount(text) == nil ? "is no size; allowed: a number and one of \(ByteCount.units)" : nil
        case .duration: return Duration(text: text) == nil ? "is no time; allowed: a number and one of \(Duration.textUnits)" : nil
        case .choice(let names):
            if names.contains(text) { return nil }
            let hint = nearestName(to: text, among: names).map { " (did you mean \($0)?)" } ?? ""
            return "is none of them\(hint); allowed: \(names.joined(separator: ", "))"
        case .pair: return text.contains("=") && text.first != "=" ? nil : "is no pair; allowed: NAME=VALUE"
        case .address: return ServerAddress(text) == nil ? "is no address; allowed: HOST:PORT, [IPV6]:PORT, unix:PATH or shm:PATH" : nil
        }
    }
}
