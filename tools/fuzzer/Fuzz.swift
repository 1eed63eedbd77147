// libFuzzer around one of the entries: `fuzz ENTRY [libFuzzer's options and corpora]`. `tools/fuzz` is the way to run it. The main
// function is libFuzzer's; it calls the two functions below.
import CFuzzWatch
import Glibc
import needletail

/// Set before the first input comes.
nonisolated(unsafe) private var chosen: FuzzEntry?
/// What inputs have left behind, all together.
nonisolated(unsafe) private var left: Int64 = 0

/// More than what is made once and kept: tables, buffers that are used again.
private let leftLimit: Int64 = 32 << 20

/// Takes the entry's name out of the arguments; the others are libFuzzer's.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>) -> CInt {
    // Safety: both are main's own, and stay valid.
    let names = unsafe (0..<Int(count.pointee)).map { unsafe arguments.pointee[$0].map { unsafe String(cString: $0) } ?? "" }
    guard names.count >= 2, let entry = FuzzEntry.all.first(where: { $0.name == names[1] }) else {
        print(FuzzEntry.all.map(\.name).joined(separator: "\n"))
        exit(names.count < 2 ? 0 : 64)
    }
    unsafe chosen = entry
    unsafe arguments.pointee[1] = arguments.pointee[0]
    unsafe arguments.pointee += 1
    unsafe count.pointee -= 1
    watch_install()
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let entry = unsafe chosen else { return 0 }
    // Safety: libFuzzer's input is valid during the call.
    let input = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: bytes, count: count))
    // What is beyond a bound is tried again: the first time may have made what is kept, and its time is that on the wall. Twice is a finding.
    guard excess(entry, input, byProcessor: false) != nil, let found = excess(entry, input, byProcessor: true) else { return 0 }
    print("\(entry.name), an input of \(count) bytes: \(found)")
    unsafe fflush(nil)
    abort()
}

/// Runs one input; says what it took beyond its entry's bounds.
private func excess(_ entry: FuzzEntry, _ input: RawSpan, byProcessor: Bool) -> String? {
    watch_begin(byProcessor ? 1 : 0)
    entry.run(input)
    let taken = watch_end()
    unsafe left += taken.left
    let bounds = entry.bounds
    let bytes = bounds.bytesPerByte * input.byteCount + bounds.bytes
    if taken.peak > bytes { return "took \(taken.peak) bytes of memory, allowed are \(bytes)" }
    if taken.nanoseconds > UInt64(bounds.milliseconds) * 1_000_000 {
        return "took \(taken.nanoseconds / 1_000_000) ms, allowed are \(bounds.milliseconds)"
    }
    if unsafe left > leftLimit { return unsafe "\(left) bytes are left behind by all inputs together" }
    return nil
}
