/// A point of time as RFC 3339 writes it, in UTC: `2026-11-21T12:04:48.250Z`. The proleptic Gregorian calendar by arithmetic alone
/// (after Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*).
package struct UTCTime: Equatable, Sendable, CustomStringConvertible {
    /// Since 1970-01-01.
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package var description: String {
        // Years 0000 to 9999, which is what four digits hold.
        let clamped = max(-62_167_219_200_000, min(253_402_300_799_999, milliseconds))
        let days = floorDivide(clamped, 86_400_000)
        let rest = clamped - days * 86_400_000
        let (year, month, day) = UTCTime.civil(days)
        let clock = "\(two(rest / 3_600_000)):\(two(rest / 60_000 % 60)):\(two(rest / 1_000 % 60))"
        return "\(two(year / 100))\(two(year % 100))-\(two(month))-\(two(day))T\(clock).\(two(rest % 1_000 / 10))\(rest % 10)Z"
    }

    /// A date, or a date and a time with an optional fraction and a zone (`Z` or `+hh:mm`; without one UTC). nil when it is none.
    package init?(_ text: String) {
        var rest = Substring(text)
        guard let year = UTCTime.digits(&rest, 4), UTCTime.take(&rest, "-"), let month = UTCTime.digits(&rest, 2), UTCTime.take(&rest, "-"),
            let day = UTCTime.digits(&rest, 2), (1...12).contains(month), day >= 1, day <= UTCTime.daysIn(month, year)
        else { return nil }
        milliseconds = UTCTime.days(year, month, day) * 86_400_000
        if rest.isEmpty { return }
        guard UTCTime.take(&rest, "T") || UTCTime.take(&rest, "t") || UTCTime.take(&rest, " "), let hour = UTCTime.digits(&rest, 2), UTCTime.take(&rest, ":"),
            let minute = UTCTime.digits(&rest, 2), hour < 24, minute < 60
        else { return nil }
        milliseconds += hour * 3_600_000 + minute * 60_000
        if UTCTime.take(&rest, ":") {
            guard let second = UTCTime.digits(&rest, 2), second <= 60 else { return nil }
            milliseconds += second * 1_000
            if UTCTime.take(&rest, ".") {
                let fraction = rest.prefix { $0.isASCII && $0.isNumber }
                guard !fraction.isEmpty, fraction.count <= 9, let value = Int64((fraction + "00").prefix(3)) else { return nil }
                milliseconds += value
                rest = rest[fraction.endIndex...]
            }
        }
        if rest.isEmpty || rest == "Z" || rest == "z" { return }
        let sign: Int64 = UTCTime.take(&rest, "-") ? 1 : -1
        guard sign == 1 || UTCTime.take(&rest, "+"), let hours = UTCTime.digits(&rest, 2), UTCTime.take(&rest, ":"), let minutes = UTCTime.digits(&rest, 2),
            rest.isEmpty, hours < 24, minutes < 60
        else { return nil }
        milliseconds += sign * (hours * 60 + minutes) * 60_000
    }

    private static func take(_ text: inout Substring, _ character: Character) -> Bool {
        guard text.first == character else { return false }
        text.removeFirst()
        return true
    }

    private static func digits(_ text: inout Substring, _ count: Int) -> Int64? {
        let part = text.prefix(count)
        guard part.count == count, part.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        text = text.dropFirst(count)
        return Int64(part)
    }

    private static func daysIn(_ month: Int64, _ year: Int64) -> Int64 {
        if month == 2 { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28 }
        return [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// Years begin in March here, so that the leap day is the last of a year; an era is 400 years.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = floorDivide(year, 400)
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}

private func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}

private func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
