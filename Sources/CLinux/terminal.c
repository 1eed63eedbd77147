#include "CLinux.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

extern char **environ;

int sys_is_terminal(int fd) { return isatty(fd); }

int sys_terminal_size(int fd, int *columns, int *rows) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0) return -errno;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}

void sys_environment(void *context, void (*found)(void *context, const char *text)) {
    for (char **entry = environ; entry && *entry; entry++) found(context, *entry);
}
