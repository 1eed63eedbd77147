#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

struct start {
    void (*body)(void *);
    void *context;
    char name[16];
};

static void *run(void *argument) {
    struct start start = *(struct start *)argument;
    free(argument);
    if (start.name[0]) pthread_setname_np(pthread_self(), start.name);
    start.body(start.context);
    return NULL;
}

int sys_thread_start(uint64_t *thread, size_t stack, const char *name, void (*body)(void *), void *context) {
    struct start *start = malloc(sizeof *start);
    if (!start) return -ENOMEM;
    start->body = body;
    start->context = context;
    snprintf(start->name, sizeof start->name, "%s", name);
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (!code) {
        code = pthread_attr_setstacksize(&attributes, stack < (size_t)PTHREAD_STACK_MIN ? (size_t) PTHREAD_STACK_MIN : stack);
        pthread_t made;
        if (!code) code = pthread_create(&made, &attributes, run, start);
        if (!code) *thread = (uint64_t)made;
        pthread_attr_destroy(&attributes);
    }
    if (code) free(start);
    return -code;
}

int sys_thread_join(uint64_t thread) { return -pthread_join((pthread_t)thread, NULL); }

int sys_thread_pin(int core) {
    if (core < 0 || core >= CPU_SETSIZE) return -EINVAL;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int sys_core_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

void sys_thread_yield(void) { sched_yield(); }

int sys_thread_id(void) { return gettid(); }

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t sys_clock_monotonic(void) { return nanoseconds(CLOCK_MONOTONIC); }
int64_t sys_clock_realtime_ms(void) { return (int64_t)(nanoseconds(CLOCK_REALTIME) / 1000000); }
uint64_t sys_clock_process_cpu(void) { return nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }
uint64_t sys_clock_thread_cpu(void) { return nanoseconds(CLOCK_THREAD_CPUTIME_ID); }

void sys_sleep(uint64_t duration) {
    struct timespec rest = {.tv_sec = (time_t)(duration / 1000000000u), .tv_nsec = (long)(duration % 1000000000u)};
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR) {}
}

static sigset_t signals(uint64_t mask) {
    sigset_t set;
    sigemptyset(&set);
    for (int each = 1; each < 64; each++)
        if (mask >> each & 1) sigaddset(&set, each);
    return set;
}

int sys_signals_block(uint64_t mask) {
    sigset_t set = signals(mask);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return -errno;
    return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int sys_signals_wait(uint64_t mask, int64_t timeout_ns) {
    sigset_t set = signals(mask);
    struct timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    for (;;) {
        int got = timeout_ns < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &time);
        if (got > 0 || errno != EINTR) return got > 0 ? got : -errno;
    }
}

int sys_signal_raise(int signal) { return -pthread_kill(pthread_self(), signal); }

static int limit(__rlimit_resource_t resource, uint64_t *soft, uint64_t *hard) {
    struct rlimit found;
    if (getrlimit(resource, &found) < 0) return -errno;
    *soft = found.rlim_cur;
    *hard = found.rlim_max;
    return 0;
}

int sys_limit_files(uint64_t *soft, uint64_t *hard) { return limit(RLIMIT_NOFILE, soft, hard); }

int sys_set_file_limit(uint64_t soft) {
    struct rlimit found;
    if (getrlimit(RLIMIT_NOFILE, &found) < 0) return -errno;
    found.rlim_cur = soft < found.rlim_max ? soft : found.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &found) < 0 ? -errno : 0;
}

int sys_limit_locked_memory(uint64_t *soft) {
    uint64_t hard;
    return limit(RLIMIT_MEMLOCK, soft, &hard);
}

int sys_release(char *release, size_t room) {
    struct utsname names;
    if (uname(&names) < 0) return -errno;
    snprintf(release, room, "%s", names.release);
    return 0;
}

int sys_error_text(int code, char *text, size_t room) {
    // The GNU form may answer a static string instead of filling the buffer.
    char scratch[128];
    snprintf(text, room, "%s", strerror_r(code, scratch, sizeof scratch));
    return 0;
}

int sys_process_id(void) { return getpid(); }
unsigned sys_user_id(void) { return getuid(); }
