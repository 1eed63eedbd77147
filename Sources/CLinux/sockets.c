#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESULT(call) ({ __typeof__(call) result_ = (call); result_ < 0 ? -errno : result_; })

_Static_assert(SYS_UNIX == AF_UNIX && SYS_INET == AF_INET && SYS_INET6 == AF_INET6, "address families");
_Static_assert((int)SYS_SHUT_READ == (int)SHUT_RD && (int)SYS_SHUT_WRITE == (int)SHUT_WR && (int)SYS_SHUT_BOTH == (int)SHUT_RDWR, "shutdown");

int sys_socket(int family, int nonblocking) {
    return RESULT(socket(family, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0));
}

int sys_socketpair(int pair[2]) { return RESULT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)); }
int sys_bind(int fd, const void *address, unsigned length) { return RESULT(bind(fd, address, length)); }
int sys_listen(int fd, int backlog) { return RESULT(listen(fd, backlog)); }
int sys_connect(int fd, const void *address, unsigned length) { return RESULT(connect(fd, address, length)); }
int sys_accept(int fd, int nonblocking) { return RESULT(accept4(fd, NULL, NULL, SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0))); }
int sys_local_address(int fd, void *address, unsigned *length) { return RESULT(getsockname(fd, address, length)); }
int sys_peer_address(int fd, void *address, unsigned *length) { return RESULT(getpeername(fd, address, length)); }

int64_t sys_receive(int fd, void *bytes, size_t count, int dont_wait) { return RESULT(recv(fd, bytes, count, dont_wait ? MSG_DONTWAIT : 0)); }

// MSG_TRUNC throws received bytes away only on TCP; elsewhere it fills memory like any receive.
int64_t sys_discard(int fd, size_t count) {
    char scratch[4096];
    int64_t got = RESULT(recv(fd, NULL, count, MSG_DONTWAIT | MSG_TRUNC));
    if (got != -EFAULT) return got;
    return RESULT(recv(fd, scratch, sizeof scratch, MSG_DONTWAIT));
}

int64_t sys_send(int fd, const void *bytes, size_t count, int dont_wait) {
    return RESULT(send(fd, bytes, count, MSG_NOSIGNAL | (dont_wait ? MSG_DONTWAIT : 0)));
}

int64_t sys_send_message(int fd, const void *message, int more) {
    return RESULT(sendmsg(fd, message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0)));
}

int64_t sys_send_descriptor(int fd, const void *bytes, size_t count, int carried) {
    union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control = {0};
    struct iovec part = {(void *)bytes, count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.head), &carried, sizeof carried);
    return RESULT(sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

int64_t sys_receive_descriptor(int fd, void *bytes, size_t count, int *carried) {
    union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control = {0};
    struct iovec part = {bytes, count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *carried = -1;
    int64_t received = RESULT(recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    struct cmsghdr *first = received >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS && first->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(carried, CMSG_DATA(first), sizeof *carried);
    return received;
}

int64_t sys_send_file(int fd, int file, int64_t position, size_t count) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK)) return -errno;
    off_t from = position;
    int64_t sent = RESULT(sendfile(fd, file, &from, count));
    if (!(flags & O_NONBLOCK)) fcntl(fd, F_SETFL, flags);
    return sent;
}

// The C library's struct ends before what Linux has appended since.
int64_t sys_bytes_taken(int fd) {
    uint64_t info[32];
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length)) return -errno;
    // tcpi_bytes_acked of linux/tcp.h, at byte 120.
    return length < 128 ? -ENOTSUP : (int64_t)info[15];
}

int sys_shutdown(int fd, int how) { return RESULT(shutdown(fd, how)); }

static int set(int fd, int level, int option, int value) { return RESULT(setsockopt(fd, level, option, &value, sizeof value)); }

int sys_set_reuse_address(int fd) { return set(fd, SOL_SOCKET, SO_REUSEADDR, 1); }
int sys_set_reuse_port(int fd) { return set(fd, SOL_SOCKET, SO_REUSEPORT, 1); }
int sys_set_no_delay(int fd) { return set(fd, IPPROTO_TCP, TCP_NODELAY, 1); }
int sys_set_receive_timeout(int fd, int milliseconds) {
    struct timeval time = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    return (int)RESULT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
}
// Accepted sockets inherit all of it.
int sys_set_keep_alive(int fd, int seconds) {
    int result = set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (result >= 0) result = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
    if (result >= 0) result = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds / 4 > 0 ? seconds / 4 : 1);
    if (result >= 0) result = set(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
    return result;
}

int sys_keep_alive(int fd) {
    int on = 0, seconds = 0;
    socklen_t length = sizeof on;
    if (getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &length)) return -errno;
    length = sizeof seconds;
    if (getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, &length)) return -errno;
    return on ? seconds : 0;
}

int sys_set_v6_only(int fd) { return set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1); }
int sys_set_receive_buffer(int fd, int bytes) { return set(fd, SOL_SOCKET, SO_RCVBUF, bytes); }

int sys_set_reset_on_close(int fd) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    return RESULT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
}

int sys_set_congestion(int fd, const char *name) { return RESULT(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name))); }

int sys_get_congestion(int fd, char *name, size_t room) {
    socklen_t length = room;
    return RESULT(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
}

int sys_set_nonblocking(int fd, int nonblocking) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    return RESULT(fcntl(fd, F_SETFL, nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

int sys_socket_error(int fd) {
    int pending = 0;
    socklen_t length = sizeof pending;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &length) < 0) return errno;
    return pending;
}

int sys_resolve(const char *host, const char *service, void *context, void (*found)(void *, const void *, unsigned)) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *first = NULL;
    int code = getaddrinfo(host, service, &hints, &first);
    if (code) return code;
    for (struct addrinfo *each = first; each; each = each->ai_next) found(context, each->ai_addr, each->ai_addrlen);
    freeaddrinfo(first);
    return 0;
}

const char *sys_resolve_error(int code) { return gai_strerror(code); }
