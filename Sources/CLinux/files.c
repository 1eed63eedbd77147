#define _GNU_SOURCE
#include "CLinux.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define RESULT(call) ({ __typeof__(call) result_ = (call); result_ < 0 ? -errno : result_; })

int sys_open(const char *path, int flags, unsigned mode) {
    int bits = O_CLOEXEC | (flags & SYS_OPEN_READ_WRITE ? O_RDWR : O_RDONLY);
    if (flags & SYS_OPEN_CREATE) bits |= O_CREAT;
    if (flags & SYS_OPEN_EXCLUSIVE) bits |= O_CREAT | O_EXCL;
    if (flags & SYS_OPEN_DIRECTORY) bits |= O_DIRECTORY;
    if (flags & SYS_OPEN_NOFOLLOW) bits |= O_NOFOLLOW;
    if (flags & SYS_OPEN_DIRECT) bits |= O_DIRECT;
    return RESULT(open(path, bits, mode));
}

int sys_close(int fd) { return RESULT(close(fd)); }
int64_t sys_read(int fd, void *bytes, size_t count) { return RESULT(read(fd, bytes, count)); }
int64_t sys_write(int fd, const void *bytes, size_t count) { return RESULT(write(fd, bytes, count)); }
int64_t sys_pread(int fd, void *bytes, size_t count, int64_t position) { return RESULT(pread(fd, bytes, count, position)); }
int64_t sys_pwrite(int fd, const void *bytes, size_t count, int64_t position) { return RESULT(pwrite(fd, bytes, count, position)); }
int64_t sys_pwritev(int fd, const void *vectors, int count, int64_t position) { return RESULT(pwritev(fd, vectors, count, position)); }
int sys_fsync(int fd) { return RESULT(fsync(fd)); }
int sys_fdatasync(int fd) { return RESULT(fdatasync(fd)); }
int sys_ftruncate(int fd, int64_t length) { return RESULT(ftruncate(fd, length)); }
int sys_fallocate(int fd, int64_t length) { return RESULT(fallocate(fd, 0, 0, length)); }
int sys_drop_cache(int fd) { return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); }
int sys_start_writing(int fd) { return RESULT(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE)); }
int sys_mkdir(const char *path, unsigned mode) { return RESULT(mkdir(path, mode)); }
int sys_unlink(const char *path) { return RESULT(unlink(path)); }
int sys_rmdir(const char *path) { return RESULT(rmdir(path)); }
int sys_rename(const char *path, const char *new_path) { return RESULT(rename(path, new_path)); }
int sys_chmod(const char *path, unsigned mode) { return RESULT(chmod(path, mode)); }
int sys_flock(int fd) { return RESULT(flock(fd, LOCK_EX | LOCK_NB)); }

static void fill(struct sys_status *status, const struct stat *found) {
    *status = (struct sys_status){
        .size = found->st_size, .device = found->st_dev, .inode = found->st_ino, .mode = found->st_mode & 07777, .owner = found->st_uid,
        .is_directory = S_ISDIR(found->st_mode), .is_regular = S_ISREG(found->st_mode), .is_socket = S_ISSOCK(found->st_mode),
        .is_link = S_ISLNK(found->st_mode),
    };
}

int sys_fstat(int fd, struct sys_status *status) {
    struct stat found;
    if (fstat(fd, &found) < 0) return -errno;
    fill(status, &found);
    return 0;
}

int sys_lstat(const char *path, struct sys_status *status) {
    struct stat found;
    if (lstat(path, &found) < 0) return -errno;
    fill(status, &found);
    return 0;
}

int64_t sys_readlink(const char *path, char *target, size_t room) { return RESULT(readlink(path, target, room)); }

int sys_list(const char *path, void *context, void (*entry)(void *, const char *, int64_t, int)) {
    DIR *directory = opendir(path);
    if (!directory) return -errno;
    int failure = 0;
    for (;;) {
        errno = 0;
        struct dirent *next = readdir(directory);
        if (!next) {
            failure = -errno;
            break;
        }
        if (!strcmp(next->d_name, ".") || !strcmp(next->d_name, "..")) continue;
        struct stat found;
        // An entry may go between readdir and stat.
        if (fstatat(dirfd(directory), next->d_name, &found, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno == ENOENT) continue;
            failure = -errno;
            break;
        }
        entry(context, next->d_name, found.st_size, S_ISDIR(found.st_mode));
    }
    closedir(directory);
    return failure;
}

int sys_statfs(const char *path, struct sys_filesystem *filesystem) {
    struct statfs found;
    if (statfs(path, &found) < 0) return -errno;
    *filesystem = (struct sys_filesystem){
        .type = (uint64_t)found.f_type & 0xffffffff,
        .free_bytes = (int64_t)found.f_bavail * found.f_bsize,
        .total_bytes = (int64_t)found.f_blocks * found.f_bsize,
    };
    return 0;
}

int sys_duplicate(int fd) { return RESULT(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

int64_t sys_map(int fd, size_t length) {
    void *address = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
    return address == MAP_FAILED ? -errno : (int64_t)(intptr_t)address;
}

int sys_unmap(int64_t address, size_t length) { return RESULT(munmap((void *)(intptr_t)address, length)); }

// Pages hold whole mappings here: addresses are rounded outward.
static void round_out(int64_t *address, size_t *length) {
    int64_t page = sysconf(_SC_PAGESIZE), start = *address & ~(page - 1);
    *length = (size_t)((*address + (int64_t)*length + page - 1 & ~(page - 1)) - start);
    *address = start;
}

int sys_resident(int64_t address, size_t length) {
    round_out(&address, &length);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char pages[1024];
    while (length > 0) {
        size_t part = length < sizeof pages * page ? length : sizeof pages * page;
        if (mincore((void *)(intptr_t)address, part, pages) < 0) return 1;
        for (size_t each = 0; each < part / page; each++)
            if (!(pages[each] & 1)) return 0;
        address += (int64_t)part;
        length -= part;
    }
    return 1;
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

int sys_populate(int64_t address, size_t length) {
    round_out(&address, &length);
    void *start = (void *)(intptr_t)address;
    // All reads at once; populating alone reads ahead little by little.
    madvise(start, length, MADV_WILLNEED);
    int result = RESULT(madvise(start, length, MADV_POPULATE_READ));
    // In the system's cache they stay; mapped, a backlog would count as this process's memory.
    madvise(start, length, MADV_DONTNEED);
    return result;
}
