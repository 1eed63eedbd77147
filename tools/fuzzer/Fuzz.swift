// libFuzzer around one of the entries: `fuzz ENTRY [libFuzzer's options and corpora]`. `tools/fuzz` is the way to run it. The main
// function is libFuzzer's; it calls the two functions below.
import Bytes
import CFuzzWatch
import Glibc
import needletail

/// Set before the first input comes.
nonisolated(unsafe) private var harness: Harness?

/// Takes the entry's name out of the arguments; the others are libFuzzer's.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>) -> CInt {
    // Safety: both are main's own, and stay valid.
    let names = unsafe (0..<Int(count.pointee)).map { unsafe arguments.pointee[$0].map { unsafe String(cString: $0) } ?? "" }
    guard names.count >= 2, let entry = FuzzEntry.all.first(where: { $0.name == names[1] }) else {
        print(FuzzEntry.all.map(\.name).joined(separator: "\n"))
        exit(names.count < 2 ? 0 : 64)
    }
    unsafe harness = Harness(entry, files: names.dropFirst(2).filter { !$0.hasPrefix("-") })
    unsafe arguments.pointee[1] = arguments.pointee[0]
    unsafe arguments.pointee += 1
    unsafe count.pointee -= 1
    watch_install()
    atexit { unsafe harness?.report() }
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // Safety: libFuzzer's input is valid during the call.
    unsafe harness?.test(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: bytes, count: count)))
    return 0
}

/// Runs an entry, and what it decodes with on the neighbours of some inputs, and holds both against their bounds.
///
/// The neighbours take nine tenths of the time: a call of a decoder costs far less than an input of libFuzzer's. One that reaches code
/// that nothing reached before goes into the corpus, where libFuzzer finds it.
private final class Harness {
    private let entry: FuzzEntry
    /// New inputs go there.
    private let corpus: String?
    /// One input is to be looked at, with all its neighbours; each is written to this file before it is tried.
    private let neighbourFile: String?
    private let began = nanosecondsNow()
    private var calls = 0
    private var runs = 0
    private var saved = 0
    private var nearby: UInt64 = 0
    private var reported = nanosecondsNow()
    private let rooms = Neighbours.Rooms()
    /// How long inputs took since it was set to zero.
    private var spent: UInt64 = 0
    /// What inputs have left behind, all together.
    private var left: Int64 = 0

    /// More than what is made once and kept: tables, buffers that are used again.
    private static let leftLimit: Int64 = 32 << 20
    /// After so many calls of the decoder it is enough.
    private let callsWanted = unsafe getenv("NEEDLETAIL_FUZZ_CALLS").flatMap { unsafe Int(String(cString: $0)) } ?? .max
    /// Longer than this no neighbourhood is tried, or not to its end.
    private static let neighbourhoodNanoseconds: UInt64 = 1_000_000_000
    /// So many inputs belong to the corpora, or are near them, and are noted as known.
    private static let knownRuns = 1_000

    init(_ entry: FuzzEntry, files: [String]) {
        self.entry = entry
        corpus = files.first.flatMap { Self.isFolder($0) ? $0 : nil }
        let asked = unsafe getenv("NEEDLETAIL_FUZZ_NEIGHBOUR").map { unsafe String(cString: $0) }
        neighbourFile = corpus == nil && !files.isEmpty ? asked ?? "" : nil
    }

    func test(_ input: RawSpan) {
        runs += 1
        // First of all, so that the code that neighbours reach is not put down to the input.
        if let decoder = entry.decoder, neighbourFile != nil || nearby < 9 * (nanosecondsNow() - began - nearby) { tryNeighbours(of: input, decoder) }
        check(entry.bounds, input, entry.run)
        // As if it were interrupted, which libFuzzer says its last words about.
        if calls >= callsWanted {
            report()
            raise(SIGINT)
        }
        if neighbourFile == nil, runs < Self.knownRuns { _ = watch_seek_new(1) }
    }

    func report() {
        print("neighbours: \(calls) calls of the decoder, \(saved) of them reached something new, beside \(runs) inputs")
        fflush(nil)
    }

    private func tryNeighbours(of input: RawSpan, _ decoder: FuzzEntry.Decoder) {
        let neighbours = Neighbours(of: input, in: rooms)
        let start = nanosecondsNow()
        watch_forget_reached()
        watch_near(1)
        let before = calls
        spent = 0
        neighbours.each(while: { neighbourFile != nil || spent < Self.neighbourhoodNanoseconds }) { bytes in
            if let neighbourFile { write(bytes, to: neighbourFile) }
            calls += 1
            check(decoder.bounds, bytes, decoder.run)
        }
        if let corpus, watch_seek_new(0) != 0 {
            var rest = calls - before
            neighbours.each(while: { rest > 0 && watch_seeks() != 0 }) { bytes in
                rest -= 1
                watch_forget_sought()
                check(decoder.bounds, bytes, decoder.run)
                guard watch_found_sought() != 0 else { return }
                saved += 1
                write(bytes, to: "\(corpus)/near-\(getpid())-\(saved)")
            }
            // What is left was reached by what makes neighbours, or by chance (hashes): it is not sought again with every other input.
            watch_give_up()
        }
        watch_near(0)
        watch_forget_reached()
        let now = nanosecondsNow()
        nearby += now - start
        if now - reported > 60_000_000_000 {
            reported = now
            report()
        }
    }

    // MARK: Bounds

    private func check(_ bounds: FuzzEntry.Bounds, _ input: RawSpan, _ run: (RawSpan) -> Void) {
        // What is beyond a bound is tried again: the first time may have made what is kept, and its time is that on the wall. Each time is a
        // finding; several, since processor time has in it what the host of a virtual machine takes.
        guard excess(bounds, input, run, byProcessor: false) != nil else { return }
        var last: String?
        for _ in 0..<4 {
            last = excess(bounds, input, run, byProcessor: true)
            if last == nil { return }
        }
        guard let found = last else { return }
        print("\(entry.name), an input of \(input.byteCount) bytes: \(found)")
        fflush(nil)
        abort()
    }

    /// Runs one input; says what it took beyond the bounds.
    private func excess(_ bounds: FuzzEntry.Bounds, _ input: RawSpan, _ run: (RawSpan) -> Void, byProcessor: Bool) -> String? {
        watch_begin(byProcessor ? 1 : 0)
        run(input)
        let taken = watch_end()
        left += taken.left
        spent += taken.nanoseconds
        let bytes = bounds.bytesPerByte * input.byteCount + bounds.bytes
        if taken.peak > bytes { return "took \(taken.peak) bytes of memory, allowed are \(bytes)" }
        if taken.nanoseconds > UInt64(bounds.milliseconds) * 1_000_000 {
            return "took \(taken.nanoseconds / 1_000_000) ms, allowed are \(bounds.milliseconds)"
        }
        if left > Self.leftLimit { return "\(left) bytes are left behind by all inputs together" }
        return nil
    }

    // MARK: The system

    private static func isFolder(_ path: String) -> Bool {
        guard let folder = unsafe opendir(path) else { return false }
        unsafe closedir(folder)
        return true
    }

    private func write(_ bytes: RawSpan, to path: String) {
        guard !path.isEmpty, let file = unsafe fopen(path, "w") else { return }
        _ = unsafe bytes.withUnsafeBytes { unsafe fwrite($0.baseAddress, 1, $0.count, file) }
        unsafe fclose(file)
    }
}

private func nanosecondsNow() -> UInt64 {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
