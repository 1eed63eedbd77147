#ifndef NEEDLETAIL_CLINUX_H
#define NEEDLETAIL_CLINUX_H
#include <stddef.h>
#include <stdint.h>

// System calls with one convention: the result, or the negated error number. Nothing can come between a call and its errno that
// way, GNU-only functions stay out of the header (Swift's Glibc module and _GNU_SOURCE disagree about types), and variadic or
// packed interfaces get a plain shape. Only fixed-width types cross.

// files.c
/// `flags`: see the SYS_OPEN constants; `mode` counts when a file is made.
int sys_open(const char *path, int flags, unsigned mode);
enum { SYS_OPEN_READ = 0, SYS_OPEN_READ_WRITE = 1, SYS_OPEN_CREATE = 2, SYS_OPEN_EXCLUSIVE = 4, SYS_OPEN_DIRECTORY = 8, SYS_OPEN_NOFOLLOW = 16, SYS_OPEN_DIRECT = 32 };
int sys_close(int fd);
int64_t sys_read(int fd, void *bytes, size_t count);
int64_t sys_write(int fd, const void *bytes, size_t count);
int64_t sys_pread(int fd, void *bytes, size_t count, int64_t position);
int64_t sys_pwrite(int fd, const void *bytes, size_t count, int64_t position);
/// `vectors` points to `count` struct iovec.
int64_t sys_pwritev(int fd, const void *vectors, int count, int64_t position);
int sys_fsync(int fd);
int sys_fdatasync(int fd);
int sys_ftruncate(int fd, int64_t length);
int sys_fallocate(int fd, int64_t length);
int sys_drop_cache(int fd);
/// Starts to write what is dirty, without waiting and without any promise.
int sys_start_writing(int fd);
int sys_mkdir(const char *path, unsigned mode);
int sys_unlink(const char *path);
int sys_rmdir(const char *path);
int sys_rename(const char *path, const char *new_path);
int sys_chmod(const char *path, unsigned mode);
int sys_flock(int fd);
struct sys_status {
    int64_t size;
    uint64_t device, inode;
    uint32_t mode, owner;
    uint8_t is_directory, is_regular, is_socket, is_link;
};
int sys_fstat(int fd, struct sys_status *status);
/// Does not follow a link at the end of the path.
int sys_lstat(const char *path, struct sys_status *status);
int64_t sys_readlink(const char *path, char *target, size_t room);
/// Calls `entry` for each name but `.` and `..`.
int sys_list(const char *path, void *context, void (*entry)(void *context, const char *name, int64_t size, int is_directory));
struct sys_filesystem {
    uint64_t type;
    int64_t free_bytes, total_bytes;
};
int sys_statfs(const char *path, struct sys_filesystem *filesystem);
/// Another descriptor of the same file, closed on exec.
int sys_duplicate(int fd);
/// A shared read-only mapping; the address, or the negated error number in the last page.
int64_t sys_map(int fd, size_t length);
int sys_unmap(int64_t address, size_t length);
/// Whether all pages are in memory; also 1 where the system does not say.
int sys_resident(int64_t address, size_t length);
/// Reads what is missing, in large pieces, and waits for it. 0, or the negated error number.
int sys_populate(int64_t address, size_t length);

// faults.c
/// Watches a mapping: a page of it that cannot be read becomes zeros instead of ending the process. Answers its number, or the
/// negated error number.
int sys_watch_add(int64_t address, size_t length);
/// Before the mapping goes.
void sys_watch_remove(int number);
/// Whether a page of it could not be read.
int sys_watch_failed(int number);
/// Reads a byte of each page.
void sys_touch(int64_t address, size_t length);

// sockets.c
enum { SYS_UNIX = 1, SYS_INET = 2, SYS_INET6 = 10 };
/// A stream socket, closed on exec.
int sys_socket(int family, int nonblocking);
int sys_socketpair(int pair[2]);
int sys_bind(int fd, const void *address, unsigned length);
int sys_listen(int fd, int backlog);
/// Waits when the socket is blocking.
int sys_connect(int fd, const void *address, unsigned length);
int sys_accept(int fd, int nonblocking);
int sys_local_address(int fd, void *address, unsigned *length);
int sys_peer_address(int fd, void *address, unsigned *length);
int64_t sys_receive(int fd, void *bytes, size_t count, int dont_wait);
/// Throws away up to `count` received bytes without waiting.
int64_t sys_discard(int fd, size_t count);
int64_t sys_send(int fd, const void *bytes, size_t count, int dont_wait);
/// `message` is a struct msghdr. Does not wait, raises no signal. With `more` something follows at once.
int64_t sys_send_message(int fd, const void *message, int more);
/// Sends all of `bytes`, with another descriptor of the file `carried` for the peer, or nothing. Unix sockets only; does not wait.
int64_t sys_send_descriptor(int fd, const void *bytes, size_t count, int carried);
/// Receives up to `count` bytes, and a descriptor when one came with them (-1 otherwise). Does not wait.
int64_t sys_receive_descriptor(int fd, void *bytes, size_t count, int *carried);
/// Sends from the file's cache. Does not wait, whatever the socket is; SIGPIPE has to be ignored.
int64_t sys_bytes_taken(int fd);
int64_t sys_send_file(int fd, int file, int64_t position, size_t count);
enum { SYS_SHUT_READ = 0, SYS_SHUT_WRITE = 1, SYS_SHUT_BOTH = 2 };
int sys_shutdown(int fd, int how);
int sys_set_reuse_address(int fd);
int sys_set_reuse_port(int fd);
int sys_set_no_delay(int fd);
/// How long a blocking receive waits before it fails with EAGAIN; 0: for ever.
int sys_set_receive_timeout(int fd, int milliseconds);
int sys_set_keep_alive(int fd, int seconds);
int sys_keep_alive(int fd);
int sys_set_v6_only(int fd);
/// The next close resets the connection instead of ending it.
int sys_set_reset_on_close(int fd);
int sys_set_congestion(int fd, const char *name);
int sys_get_congestion(int fd, char *name, size_t room);
int sys_set_receive_buffer(int fd, int bytes);
int sys_set_nonblocking(int fd, int nonblocking);
/// The pending error of a socket as a positive number, 0 for none.
int sys_socket_error(int fd);
/// Resolves a host name; calls `found` with each stream address. Answers 0 or getaddrinfo's (non-zero) code.
int sys_resolve(const char *host, const char *service, void *context, void (*found)(void *context, const void *address, unsigned length));
const char *sys_resolve_error(int code);

// events.c
int sys_eventfd(int semaphore, int nonblocking);
int sys_epoll_create(void);
enum { SYS_EVENT_IN = 0x1, SYS_EVENT_OUT = 0x4, SYS_EVENT_ERROR = 0x8, SYS_EVENT_HANGUP = 0x10 };
enum { SYS_EVENT_ADD = 1, SYS_EVENT_REMOVE = 2, SYS_EVENT_CHANGE = 3 };
int sys_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t token);
struct sys_event {
    uint64_t token;
    uint32_t events;
};
/// At most 256 events; `timeout_ns` below 0 waits for ever.
int sys_epoll_wait(int epoll, struct sys_event *events, int room, int64_t timeout_ns);
/// Waits for `events` on one descriptor; answers the events, 0 after the time-out.
int sys_poll(int fd, int events, int timeout_ms);

// threads.c
/// Runs `body(context)` on a new thread. Answers 0 and the thread.
int sys_thread_start(uint64_t *thread, size_t stack, const char *name, void (*body)(void *context), void *context);
int sys_thread_join(uint64_t thread);
/// Pins the calling thread.
int sys_thread_pin(int core);
/// How many cores this process may run on.
int sys_core_count(void);
void sys_thread_yield(void);
int sys_thread_id(void);
uint64_t sys_clock_monotonic(void);
int64_t sys_clock_realtime_ms(void);
uint64_t sys_clock_process_cpu(void);
uint64_t sys_clock_thread_cpu(void);
void sys_sleep(uint64_t nanoseconds);
enum { SYS_SIGHUP = 1, SYS_SIGINT = 2, SYS_SIGPIPE = 13, SYS_SIGTERM = 15, SYS_SIGUSR1 = 10, SYS_SIGWINCH = 28 };
/// Blocks the signals of `mask` (bit n stands for signal n) in this thread and those it starts, and ignores SIGPIPE.
int sys_signals_block(uint64_t mask);
/// Waits for one of the signals; the signal, or -EAGAIN after `timeout_ns` (below 0: no time-out).
int sys_signals_wait(uint64_t mask, int64_t timeout_ns);
/// Sends a signal to the calling thread.
int sys_signal_raise(int signal);
int sys_limit_files(uint64_t *soft, uint64_t *hard);
int sys_set_file_limit(uint64_t soft);
int sys_limit_locked_memory(uint64_t *soft);
int sys_release(char *release, size_t room);
int sys_error_text(int code, char *text, size_t room);
int sys_process_id(void);
unsigned sys_user_id(void);

// terminal.c
int sys_is_terminal(int fd);
int sys_terminal_size(int fd, int *columns, int *rows);
/// Calls `found` with each `NAME=VALUE`.
void sys_environment(void *context, void (*found)(void *context, const char *text));

// processes.c
/// Starts a program with standard output on a new pipe; it gets SIGTERM when the calling thread ends. `words` are its path and its
/// arguments, each with its terminating zero; at most 63.
int sys_spawn(const char *words, size_t size, int *process, int *output);
int sys_kill(int process, int signal);
/// The exit code (128 and the signal when one ended it), or -EAGAIN while it runs.
int sys_wait(int process, int dont_wait);
/// The unit of processor time in /proc.
long sys_ticks_per_second(void);
/// How late the calling thread's sleeps may end.
int sys_set_timer_slack(uint64_t nanoseconds);

#endif
