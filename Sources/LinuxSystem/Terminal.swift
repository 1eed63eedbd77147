internal import CLinux

/// The terminal behind a descriptor, if there is one.
package enum Terminal {
    package static func isTerminal(_ file: File) -> Bool { sys_is_terminal(file.descriptor) != 0 }

    /// Columns and rows; nil when it is no terminal.
    package static func size(_ file: File) -> (columns: Int, rows: Int)? {
        var columns: Int32 = 0
        var rows: Int32 = 0
        // Safety: two numbers are filled.
        guard unsafe sys_terminal_size(file.descriptor, &columns, &rows) == 0, columns > 0 else { return nil }
        return (Int(columns), Int(rows))
    }
}

/// The variables that the process was started with.
package enum Environment {
    package static func variables() -> [String: String] {
        var found: [String: String] = [:]
        // Safety: the C function calls back only before it returns; the context is the local dictionary.
        unsafe withUnsafeMutablePointer(to: &found) { found in
            unsafe sys_environment(found) { context, text in
                let entry = unsafe String(cString: text.unsafelyUnwrapped)
                guard let sign = entry.firstIndex(of: "=") else { return }
                let found = unsafe context.unsafelyUnwrapped.assumingMemoryBound(to: [String: String].self)
                unsafe found.pointee[String(entry[..<sign])] = String(entry[entry.index(after: sign)...])
            }
        }
        return found
    }

    /// Whether systemd's journal reads `file`: JOURNAL_STREAM names its device and inode (systemd.exec(5)).
    package static func journalReads(_ file: File, variables: [String: String]) -> Bool {
        guard let stream = variables["JOURNAL_STREAM"], let status = try? file.status() else { return false }
        return stream == "\(status.device):\(status.inode)"
    }
}

extension File {
    package static let standardInput = File(descriptor: 0)
    package static let standardOutput = File(descriptor: 1)
    package static let standardError = File(descriptor: 2)
}
