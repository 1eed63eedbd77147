#ifndef NEEDLETAIL_CURING_H
#define NEEDLETAIL_CURING_H
// liburing's header defines _GNU_SOURCE, which would give this module other C types than Swift's Glibc module has. Reading
// features.h first fixes the feature set before that definition can count.
#include <features.h>
#include <liburing.h>
#include <stddef.h>
#include <stdint.h>

// What kernels after the packaged header (6.1) brought.
#ifndef IORING_FEAT_MIN_TIMEOUT
#define IORING_FEAT_MIN_TIMEOUT (1U << 15)
#endif

// Flags that Swift cannot import as they stand (shifts of enum constants), as plain numbers.
enum {
    CURING_SQE_LINK = 1 << 2,
    CURING_SQE_ASYNC = 1 << 4,
    CURING_SQE_BUFFER_SELECT = 1 << 5,
    CURING_SQE_SKIP_SUCCESS = 1 << 6,
};

/// Sets the ring up; 0 or the negated error number. `flags` are IORING_SETUP_*.
int curing_init(struct io_uring *ring, unsigned entries, unsigned completions, unsigned flags);

/// One io_uring_enter: submits everything prepared, and, when `wait` is above 0, waits for that many completions, at most
/// `timeout_ns` (UINT64_MAX: for ever). With `min_wait_us` above 0 the kernel gathers completions for that long before it wakes the
/// caller for fewer. `events` runs pending kernel work even without waiting (DEFER_TASKRUN).
/// Answers how many were submitted, or the negated error number; -ETIME when the time ran out.
int curing_enter(struct io_uring *ring, unsigned wait, uint64_t timeout_ns, uint32_t min_wait_us, int events);

/// Whether an entry would do something although nothing is to be submitted: deferred work or overflown completions wait.
static inline int curing_has_pending_work(const struct io_uring *ring) {
    return (IO_URING_READ_ONCE(*ring->sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static inline int curing_has_overflow(const struct io_uring *ring) { return (IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0; }

/// How many submissions are prepared and not yet taken by the kernel.
static inline unsigned curing_unsubmitted(const struct io_uring *ring) { return ring->sq.sqe_tail - IO_URING_READ_ONCE(*ring->sq.khead); }

struct curing_completion {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

/// Takes the oldest completion off the queue; 0 when there is none.
static inline int curing_take(struct io_uring *ring, struct curing_completion *completion) {
    unsigned head = *ring->cq.khead;
    if (head == io_uring_smp_load_acquire(ring->cq.ktail)) return 0;
    const struct io_uring_cqe *entry = &ring->cq.cqes[head & ring->cq.ring_mask];
    completion->user_data = entry->user_data;
    completion->result = entry->res;
    completion->flags = entry->flags;
    io_uring_smp_store_release(ring->cq.khead, head + 1);
    return 1;
}

/// Gives one buffer to the kernel.
static inline void curing_give_buffer(struct io_uring_buf_ring *buffers, void *memory, unsigned length, unsigned short number, int mask) {
    io_uring_buf_ring_add(buffers, memory, length, number, mask, 0);
    io_uring_buf_ring_advance(buffers, 1);
}

/// Registers `memory` (page aligned, 16 bytes an entry) as the provided-buffer ring of `group`.
int curing_register_buffers(struct io_uring *ring, void *memory, unsigned entries, unsigned short group);

/// Whether the kernel knows the operation; negative when it cannot be asked.
int curing_supports(struct io_uring *ring, int operation);

static inline void curing_set_flags(struct io_uring_sqe *entry, unsigned flags) { entry->flags |= (unsigned char)flags; }

#endif
