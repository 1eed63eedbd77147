internal import IOUring
internal import LinuxSystem
internal import SegmentLog

/// Flushes through the ring: one data sync for each file, all at once, then one for each directory. Flushes of several logs are
/// under way independently.
///
/// A flush that fails is not tried again: a second sync can succeed although the data is not on the disk (S8). It ends when all that
/// it had started has ended, with the first failure.
final class RingFlusher {
    private struct Flush {
        var ticket: StorageTicket
        var directories: [String]
        var outstanding = 0
        var failure: StorageError?
    }

    /// One operation of the kernel.
    private struct Sync {
        var generation: UInt32 = 0
        var flush = 0
        var file = File(descriptor: -1)
        var isDirectory = false
    }

    private let ring: Ring
    private var flushes: [Flush] = []
    private var freeFlushes: [Int] = []
    private var syncs: [Sync] = []
    private var freeSyncs: [Int] = []

    init(_ ring: Ring) { self.ring = ring }

    /// Answers the result where the flush is over at once.
    func start(_ files: [FileHandle], _ directories: [String], _ ticket: StorageTicket) -> StorageResult? {
        let flush = Flush(ticket: ticket, directories: directories)
        let index: Int
        if let free = freeFlushes.popLast() {
            index = free
            flushes[index] = flush
        } else {
            index = flushes.count
            flushes.append(flush)
        }
        for file in files { sync(File(file), .data, for: index) }
        return advance(index)?.result
    }

    /// An operation of a flush has ended. Answers the flush when that was its last.
    func completed(_ completion: Completion) -> (ticket: StorageTicket, result: StorageResult)? {
        let place = Int(completion.id.slot)
        guard place < syncs.count, syncs[place].generation == completion.id.generation else { return nil }
        let ended = syncs[place]
        syncs[place].generation = (ended.generation &+ 1) & 0xff_ffff
        freeSyncs.append(place)
        if let error = completion.error, flushes[ended.flush].failure == nil {
            flushes[ended.flush].failure = StorageError(ended.isDirectory ? "fsync" : "fdatasync", ended.file.path, error)
        }
        if ended.isDirectory { try? ended.file.close() }
        flushes[ended.flush].outstanding -= 1
        return advance(ended.flush)
    }

    /// Goes on to the directories when the files are done, and to the end when those are.
    private func advance(_ index: Int) -> (ticket: StorageTicket, result: StorageResult)? {
        guard flushes[index].outstanding == 0 else { return nil }
        if flushes[index].failure == nil, !flushes[index].directories.isEmpty {
            var directories: [String] = []
            swap(&directories, &flushes[index].directories)
            for path in directories {
                do {
                    sync(try File.open(path, .directory), .everything, for: index)
                } catch {
                    flushes[index].failure = StorageError("open", path, error)
                    break
                }
            }
            if flushes[index].outstanding > 0 { return nil }
        }
        freeFlushes.append(index)
        let ticket = flushes[index].ticket
        if let failure = flushes[index].failure { return (ticket, .failed(failure)) }
        return (ticket, .done)
    }

    private func sync(_ file: File, _ scope: Ring.SyncScope, for flush: Int) {
        let place: Int
        if let free = freeSyncs.popLast() {
            place = free
        } else {
            place = syncs.count
            syncs.append(Sync())
        }
        syncs[place].flush = flush
        syncs[place].file = file
        syncs[place].isDirectory = scope == .everything
        flushes[flush].outstanding += 1
        let id = OperationID(kind: OperationKind.sync.rawValue, generation: syncs[place].generation, slot: UInt32(place))
        ring.sync(file, scope, id: id)
    }
}
