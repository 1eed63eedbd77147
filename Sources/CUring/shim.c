#define _GNU_SOURCE
#include "CUring.h"
#include <errno.h>
#include <signal.h>
#include <string.h>

int curing_init(struct io_uring *ring, unsigned entries, unsigned completions, unsigned flags) {
    struct io_uring_params parameters;
    memset(&parameters, 0, sizeof parameters);
    parameters.flags = flags | IORING_SETUP_CLAMP | (completions ? IORING_SETUP_CQSIZE : 0);
    parameters.cq_entries = completions;
    return io_uring_queue_init_params(entries, ring, &parameters);
}

// The header's struct has a pad where newer kernels read the minimum wait.
struct getevents {
    uint64_t sigmask;
    uint32_t sigmask_size;
    uint32_t min_wait_us;
    uint64_t time;
};
_Static_assert(sizeof(struct getevents) == sizeof(struct io_uring_getevents_arg), "layout of io_uring_getevents_arg");

int curing_enter(struct io_uring *ring, unsigned wait, uint64_t timeout_ns, uint32_t min_wait_us, int events) {
    // Publishes what was prepared, as liburing does in its own (internal) flush.
    struct io_uring_sq *queue = &ring->sq;
    unsigned tail = *queue->ktail;
    unsigned fresh = queue->sqe_tail - queue->sqe_head;
    if (fresh) {
        for (; fresh; fresh--) {
            queue->array[tail & queue->ring_mask] = queue->sqe_head & queue->ring_mask;
            tail++;
            queue->sqe_head++;
        }
        io_uring_smp_store_release(queue->ktail, tail);
    }
    unsigned submit = tail - IO_URING_READ_ONCE(*queue->khead);
    unsigned flags = wait || events ? IORING_ENTER_GETEVENTS : 0;
    struct __kernel_timespec time = {.tv_sec = (long long)(timeout_ns / 1000000000u), .tv_nsec = (long long)(timeout_ns % 1000000000u)};
    struct getevents argument = {.sigmask_size = _NSIG / 8, .min_wait_us = min_wait_us};
    if (wait && timeout_ns != UINT64_MAX) argument.time = (uint64_t)(uintptr_t)&time;
    if (wait && (argument.time || min_wait_us))
        return io_uring_enter2((unsigned)ring->ring_fd, submit, wait, flags | IORING_ENTER_EXT_ARG, (sigset_t *)&argument, sizeof argument);
    return io_uring_enter2((unsigned)ring->ring_fd, submit, wait, flags, NULL, _NSIG / 8);
}

int curing_register_buffers(struct io_uring *ring, void *memory, unsigned entries, unsigned short group) {
    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uint64_t)(uintptr_t)memory;
    registration.ring_entries = entries;
    registration.bgid = group;
    return io_uring_register_buf_ring(ring, &registration, 0);
}

int curing_supports(struct io_uring *ring, int operation) {
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (!probe) return -1;
    int supported = io_uring_opcode_supported(probe, operation);
    io_uring_free_probe(probe);
    return supported;
}
