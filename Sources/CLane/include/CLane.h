#ifndef NEEDLETAIL_CLANE_H
#define NEEDLETAIL_CLANE_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A lane is a file in memory (memfd) of one page and two rings of bytes. All numbers are little-endian and aligned to their size.
//
//     0     magic u64 | version u32 | 0 u32 | bytes of the ring to the server u64 | bytes of the ring to the client u64
//     128   to the server: bytes written, ever (the client's to write)       u64
//     256   to the server: bytes read, ever (the server's)                   u64
//     384   to the client: bytes written, ever (the server's)                u64
//     512   to the client: bytes read, ever (the client's)                   u64
//     640   the server sleeps: 0 no, 1 until there is input, 2 until there is room, 3 either   u32
//     768   the client sleeps: as above; a futex                          u32
//     4096  ring to the server, then ring to the client; each a power of two, at least a page
//
// A ring is mapped twice, one mapping behind the other, so that what it holds is always in one piece.

enum { LANE_VERSION = 1, LANE_PAGE = 4096 };
enum { LANE_INPUT = 1, LANE_ROOM = 2 };
enum { LANE_LEAST_RING = 64 << 10, LANE_LARGEST_RING = 64 << 20 };

/// One end. One thread reads and waits, one (the same, or another at a time) writes; any may interrupt.
struct lane {
    unsigned char *page;
    unsigned char *in, *out;          // what this side reads, and writes
    uint64_t in_bytes, out_bytes;     // capacities, as agreed at the beginning: the page is not asked again
    uint64_t in_head, out_tail;       // this side's own counters; those in the page are for the other
    uint64_t in_tail_seen, out_head_seen;
    int is_server;
    uint32_t is_interrupted;          // somebody wants the waiting thread; atomic
};

/// Makes the memory, sealed against shrinking, and maps it for the server. Answers its descriptor, or the negated error number.
int lane_create(struct lane *lane, uint64_t to_server, uint64_t to_client);
/// Maps a lane for the client. The descriptor may be closed afterwards. 0, or the negated error number; -EPROTO for what is no lane.
int lane_attach(struct lane *lane, int descriptor);
void lane_unmap(struct lane *lane);

/// Bytes that can be read; -EPROTO when the other side's counter is impossible.
int64_t lane_readable(struct lane *lane);
/// Copies up to `count` bytes out, and frees their room. Answers how many, or -EPROTO.
int64_t lane_read(struct lane *lane, void *bytes, size_t count);
/// Copies up to `count` bytes in; they are not shown before `lane_show`. Answers how many, or -EPROTO.
int64_t lane_write(struct lane *lane, const void *bytes, size_t count);
/// Bytes that can be written now, or -EPROTO.
int64_t lane_writable(struct lane *lane);
/// Shows the other side what was written.
void lane_show(struct lane *lane);

/// The server is about to sleep until there is LANE_INPUT, LANE_ROOM or either. Answers 1 when there is already: then it must not.
int lane_server_sleeps(struct lane *lane, int until);
void lane_server_wakes(struct lane *lane);
/// After the client has brought LANE_INPUT (written) or LANE_ROOM (read): whether the server sleeps until then and is to be knocked for, by a
/// byte on the socket. Once for each sleep.
int lane_must_knock(struct lane *lane, int brought);
/// After the server has brought LANE_INPUT (written) or LANE_ROOM (read): wakes a client that sleeps until then.
void lane_wake_client(struct lane *lane, int brought);
/// The client waits until there is input, or (with `wants_room`) room, or somebody wakes it: looks for `spin_ns`, then sleeps for at most
/// `sleep_ns`. Answers 1 when there is something to do, 0 when not, -EPROTO.
int lane_client_waits(struct lane *lane, int wants_room, uint64_t spin_ns, uint64_t sleep_ns);
/// Ends a `lane_client_waits` of another thread; the next one when none is under way.
void lane_interrupt_client(struct lane *lane);

#ifdef __cplusplus
}
#endif
#endif
