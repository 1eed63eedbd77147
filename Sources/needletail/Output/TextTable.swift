/// Rows under headings, columns aligned: what list commands show. Numbers stand at the right.
struct TextTable {
    var headings: [String]
    private(set) var rows: [[String]] = []

    init(_ headings: [String]) { self.headings = headings }

    mutating func add(_ cells: [String]) { rows.append(cells) }

    /// Without rows only the headings, so that a reader sees that the list is empty.
    func text(_ style: TextStyle) -> String {
        let widths = headings.indices.map { column in max(headings[column].count, rows.map { $0[column].count }.max() ?? 0) }
        let isNumeric = headings.indices.map { column in rows.contains { !$0[column].isEmpty } && rows.allSatisfy { isNumber($0[column]) } }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (column, cell) in cells.enumerated() {
                let pad = String(repeating: " ", count: widths[column] - cell.count)
                text += isNumeric[column] ? pad + cell : column == cells.count - 1 ? cell : cell + pad
                if column < cells.count - 1 { text += "  " }
            }
            return text
        }
        return style.bold(line(headings)) + "\n" + rows.map { line($0) + "\n" }.joined()
    }

    private func isNumber(_ text: String) -> Bool {
        text.isEmpty || text == "-" || text.first.map { $0.isASCII && $0.isNumber } == true
    }
}

/// Numbers for people.
enum Figures {
    /// `1,234,567`.
    static func count(_ number: Int64) -> String {
        var text = ""
        for (index, digit) in String(number.magnitude).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + String(text.reversed())
    }

    /// `1.5 MiB`: three significant digits at most, for reading and not for reading back.
    static func bytes(_ number: Int64) -> String {
        var value = Double(number)
        for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
            if value < 1_024 || unit == "TiB" { return "\(unit == "B" ? String(number) : decimal(value)) \(unit)" }
            value /= 1_024
        }
        return "\(number) B"
    }

    /// One digit behind the point where there is something there.
    static func decimal(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let tenths = Int64((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths < 0 ? "-" : "")\(tenths.magnitude / 10).\(tenths.magnitude % 10)"
    }
}
