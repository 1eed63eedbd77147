// libFuzzer around one of the entries: `fuzz ENTRY [libFuzzer's options and corpora]`. `tools/fuzz` is the way to run it. The main
// function is libFuzzer's; it calls the two functions below.
import Glibc
import needletail

/// Set before the first input comes.
nonisolated(unsafe) private var chosen: FuzzEntry?

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
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // Safety: libFuzzer's input is valid during the call.
    let input = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
    unsafe chosen?.run(RawSpan(_unsafeBytes: input))
    return 0
}
