#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#define RESULT(call) ({ __typeof__(call) result_ = (call); result_ < 0 ? -errno : result_; })

_Static_assert((int)SYS_EVENT_IN == (int)EPOLLIN && (int)SYS_EVENT_OUT == (int)EPOLLOUT, "events");
_Static_assert((int)SYS_EVENT_ERROR == (int)EPOLLERR && (int)SYS_EVENT_HANGUP == (int)EPOLLHUP, "events");
_Static_assert(SYS_EVENT_ADD == EPOLL_CTL_ADD && SYS_EVENT_REMOVE == EPOLL_CTL_DEL && SYS_EVENT_CHANGE == EPOLL_CTL_MOD, "operations");

int sys_eventfd(int semaphore, int nonblocking) {
    return RESULT(eventfd(0, EFD_CLOEXEC | (semaphore ? EFD_SEMAPHORE : 0) | (nonblocking ? EFD_NONBLOCK : 0)));
}

int sys_epoll_create(void) { return RESULT(epoll_create1(EPOLL_CLOEXEC)); }

int sys_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return RESULT(epoll_ctl(epoll, operation, fd, &event));
}

int sys_epoll_wait(int epoll, struct sys_event *events, int room, int64_t timeout_ns) {
    struct epoll_event found[256];
    if (room > 256) room = 256;
    struct timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    static int has_no_nanoseconds;
    int count;
    if (!__atomic_load_n(&has_no_nanoseconds, __ATOMIC_RELAXED)) {
        count = epoll_pwait2(epoll, found, room, timeout_ns < 0 ? NULL : &time, NULL);
        if (count < 0 && errno == ENOSYS) __atomic_store_n(&has_no_nanoseconds, 1, __ATOMIC_RELAXED);
    }
    // Kernels before 5.11 count milliseconds; rounding up keeps a wait from turning into a spin.
    if (__atomic_load_n(&has_no_nanoseconds, __ATOMIC_RELAXED)) {
        int64_t milliseconds = timeout_ns < 0 ? -1 : timeout_ns > 86400000000000 ? 86400000 : (timeout_ns + 999999) / 1000000;
        count = epoll_wait(epoll, found, room, (int)milliseconds);
    }
    if (count < 0) return -errno;
    for (int i = 0; i < count; i++) events[i] = (struct sys_event){.token = found[i].data.u64, .events = found[i].events};
    return count;
}

int sys_poll(int fd, int events, int timeout_ms) {
    struct pollfd one = {.fd = fd, .events = (short)events};
    int count = poll(&one, 1, timeout_ms);
    return count < 0 ? -errno : count == 0 ? 0 : one.revents;
}
