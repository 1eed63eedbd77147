#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int sys_spawn(const char *words, size_t size, int *process, int *output) {
    // Made before the fork: nothing may be allocated behind it.
    char *arguments[64];
    size_t count = 0;
    for (size_t at = 0; at < size; at += strlen(words + at) + 1) {
        if (count == sizeof arguments / sizeof *arguments - 1) return -E2BIG;
        arguments[count++] = (char *)words + at;
    }
    arguments[count] = NULL;
    if (count == 0) return -EINVAL;
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC)) return -errno;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        int code = errno;
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        return -code;
    }
    if (child == 0) {
        // Only what is safe between fork and exec in a program with threads.
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(127);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        dup2(pipe_ends[1], 1);
        execv(arguments[0], arguments);
        _exit(127);
    }
    close(pipe_ends[1]);
    *process = child;
    *output = pipe_ends[0];
    return 0;
}

int sys_kill(int process, int signal) { return kill(process, signal) ? -errno : 0; }

int sys_wait(int process, int dont_wait) {
    int status = 0;
    pid_t found;
    do found = waitpid(process, &status, dont_wait ? WNOHANG : 0);
    while (found < 0 && errno == EINTR);
    if (found < 0) return -errno;
    if (found == 0) return -EAGAIN;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

long sys_ticks_per_second(void) { return sysconf(_SC_CLK_TCK); }

int sys_set_timer_slack(uint64_t nanoseconds) { return prctl(PR_SET_TIMERSLACK, (unsigned long)nanoseconds, 0, 0, 0) ? -errno : 0; }
