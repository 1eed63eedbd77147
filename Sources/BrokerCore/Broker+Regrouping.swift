internal import Bytes
internal import Containers
internal import SegmentLog

// The brokers' own logs, one pair for each shard: `__cursors` and `__aside` are shard 0's, `__cursors-k` and `__aside-k` shard k's. How many
// pairs there are is said by the file `shards` (absent: one). When a start has another number, most topics have another owner, so that their
// cursors have to move:
//
//     read the newest cursors, each from the log of its owner before
//     -> write every owner's cursors, and the copies they name, behind what its logs have; close them, so that all is on disk
//     -> replace the file `shards` -> remove the logs that nobody has any more
//
// All of it is done by the authority, before any broker serves. Until the file is replaced the logs are read by the old rule, which does not
// see what was added for others; after it, by the new one, for which the last entry is the newest. So a crash at any point loses nothing.
extension Broker {
    private static let layoutFile = "shards"

    static func ownDirectories(of shard: Int, in directory: String) -> (cursors: String, survivors: String) {
        let suffix = shard == 0 ? "" : "-\(shard)"
        return ("\(directory)/__cursors\(suffix)", "\(directory)/__aside\(suffix)")
    }

    /// What the brokers' own logs are opened with. Cursors are written at once and flushed at intervals: losing the newest means
    /// delivering again, flagged.
    var ownOptions: (catalog: Log.Options, cursors: Log.Options, survivors: Log.Options) {
        var catalog = Log.Options()
        catalog.durability = .group
        catalog.segmentBytes = 4 << 20
        catalog.flushTimeoutMilliseconds = options.log.flushTimeoutMilliseconds
        catalog.maxMessageBytes = 64 << 20
        var cursors = catalog
        cursors.durability = .interval
        cursors.flushIntervalMilliseconds = 1_000
        var survivors = catalog
        survivors.maxMessageBytes = options.limits.frameBytes + (4 << 20)
        return (catalog, cursors, survivors)
    }

    /// Sees to it that every shard finds the cursors of its topics. Answers whether the logs that were read had been left clean.
    func regroupCursors() throws(StartError) -> Bool {
        let before = try shardsBefore()
        var wasClean = true
        if before != map.shards {
            wasClean = try moveCursors(from: PartitionMap(shards: before))
            try writeShards()
        }
        removeForeignLogs()
        return wasClean
    }

    // MARK: The number of shards

    private func shardsBefore() throws(StartError) -> Int {
        let path = options.directory + "/" + Broker.layoutFile
        do throws(StorageError) {
            guard try storage.list(options.directory).contains(where: { $0.name == Broker.layoutFile }) else { return 1 }
            let content = try storage.content(of: path, atMost: 64) ?? []
            let text = String(decodingBytes: content.rawSpan)
            guard text.hasSuffix("\n"), let number = Int(text.dropLast()), (1...256).contains(number) else {
                throw StorageError(operation: "read", path: path, code: 0, reason: "it should hold the number of shards and a line's end")
            }
            return number
        } catch { throw StartError(path: path, reason: error.reason) }
    }

    private func writeShards() throws(StartError) {
        let path = options.directory + "/" + Broker.layoutFile
        do throws(StorageError) {
            try storage.makeDirectory(options.directory)
            do { try storage.remove(path + ".new") } catch { if error.code != 2 { throw error } }
            try storage.create(path + ".new", Array("\(map.shards)\n".utf8), syncs: true)
            try storage.rename(path + ".new", to: path)
            try storage.syncDirectory(options.directory)
        } catch { throw StartError(path: path, reason: error.description) }
    }

    /// Logs of shards that there are not; the directory of one may be half removed, and is never opened.
    private func removeForeignLogs() {
        let entries: [DirectoryEntry]
        do throws(StorageError) { entries = try storage.list(options.directory) } catch { return }
        for entry in entries where entry.isDirectory {
            for prefix in ["__cursors-", "__aside-"] where entry.name.hasPrefix(prefix) {
                guard let shard = Int(entry.name.dropFirst(prefix.count)), shard >= map.shards else { continue }
                removeDirectory(options.directory + "/" + entry.name)
            }
        }
    }

    // MARK: Moving

    /// One shard's two logs, open while cursors move.
    private struct Pair {
        var cursors: Log
        var survivors: Log
        var isCursorsClean: Bool
    }

    private func moveCursors(from old: PartitionMap) throws(StartError) -> Bool {
        // Shards that are new have nothing; what an interrupted start has left of them counts for nothing.
        for shard in old.shards..<max(old.shards, map.shards) {
            let (cursors, survivors) = Broker.ownDirectories(of: shard, in: options.directory)
            for directory in [cursors, survivors] { try removeLeftovers(directory) }
        }
        var pairs: [Pair] = []
        for shard in 0..<max(old.shards, map.shards) { pairs.append(try openPair(shard)) }
        var found: [SubscriptionID: [Int32: Cursor]] = [:]
        var wasClean = true
        for shard in 0..<old.shards {
            wasClean = wasClean && pairs[shard].isCursorsClean
            _ = try replay(pairs[shard].cursors) { bytes throws(ByteError) in
                let record = try CursorRecord(decoding: bytes)
                guard let topic = self.topic(of: record.subscription), old.owner(of: topic) == shard else { return }
                found[record.subscription, default: [:]][record.partition] = record.cursor
            }
        }
        for (id, lanes) in found.sorted(by: { $0.key < $1.key }) {
            guard let topic = topic(of: id) else { continue }
            let (from, to) = (old.owner(of: topic), map.owner(of: topic))
            for (partition, cursor) in lanes.sorted(by: { $0.key < $1.key }) {
                var cursor = cursor
                do throws(LogError) {
                    if from != to { try moveCopies(of: &cursor, from: pairs[from].survivors, to: pairs[to].survivors) }
                    scratch.clear()
                    CursorRecord.encode(cursor, subscription: id, partition: partition, into: &scratch)
                    _ = try appendCopy(to: pairs[to].cursors)
                } catch { throw StartError(path: pairs[to].cursors.directory, reason: "cannot take over cursors: \(BrokerError(error).text)") }
            }
        }
        // The copies first: a cursor on disk names nothing that is not.
        for pair in pairs { try closeNow(pair.survivors) }
        for pair in pairs { try closeNow(pair.cursors) }
        return wasClean
    }

    private func topic(of subscription: SubscriptionID) -> TopicID? { subscriptions[subscription]?.topic.id ?? foreignSubscriptions[subscription]?.topic }

    private func removeLeftovers(_ directory: String) throws(StartError) {
        do throws(StorageError) {
            if try storage.list(directory).isEmpty { return }
            removeDirectory(directory)
            guard try storage.list(directory).isEmpty else { throw StorageError(operation: "remove", path: directory, code: 0, reason: "it is not empty") }
        } catch {
            if error.code != 2 { throw StartError(path: directory, reason: error.description) }
        }
    }

    private func openPair(_ shard: Int) throws(StartError) -> Pair {
        let (cursors, survivors) = Broker.ownDirectories(of: shard, in: options.directory)
        let own = ownOptions
        func open(_ directory: String, _ options: Log.Options) throws(StartError) -> Log {
            do throws(LogError) {
                // Nothing is started in the background, so no number is needed for completions.
                return try Log(directory: directory, number: 0, options: options, storage: storage, now: now, readiesInBackground: false)
            } catch { throw StartError(path: directory, reason: BrokerError(error).text) }
        }
        let opened = try open(cursors, own.cursors)
        return Pair(cursors: opened, survivors: try open(survivors, own.survivors), isCursorsClean: opened.recovery.wasClean)
    }

    /// Copies what the cursor names behind what the new owner's log has. A copy that its log has forgotten was settled after the cursor
    /// was written, see `joinCursors`.
    private func moveCopies(of cursor: inout Cursor, from old: Log, to new: Log) throws(LogError) {
        _ = cursor.dropAside { $0.place < old.watermarks.start.rawValue || $0.place >= old.visibleEnd.rawValue }
        var copies: [Cursor.Aside] = []
        cursor.aside.forEach { copies.append($0) }
        for copy in copies {
            let batch: BatchView
            do throws(LogError) { batch = try read(copy, old) } catch {
                // As where it would have been delivered: a damaged copy is given up.
                counters.unreadable &+= 1
                counters.dropped &+= UInt64(cursor.dropAside { $0.place == copy.place })
                continue
            }
            scratch.clear()
            scratch.append(batch.slice.memory.bytes(batch.slice.range))
            var moved = copy
            moved.place = try appendCopy(to: new).rawValue
            _ = cursor.moveAside(moved, from: copy.place)
        }
    }

    private func closeNow(_ log: Log) throws(StartError) {
        do throws(LogError) { try log.close(now: now) } catch { throw StartError(path: log.directory, reason: BrokerError(error).text) }
    }
}
