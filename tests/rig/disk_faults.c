/* Lets calls on files below a folder fail, for tests of what a bad disk does.
 *
 * Loaded by LD_PRELOAD. Of the calls named in DISK_FAULT_CALLS (open read write fsync link rename
 * mkdir unlink close) on paths below DISK_FAULT_BELOW, the DISK_FAULT_AT-th fails with errno
 * DISK_FAULT_ERRNO; with DISK_FAULT_STICKY all later ones too, with DISK_FAULT_LATE it takes
 * effect all the same. A file whose fsync fails loses half of its bytes, as pages that could not
 * be written do. Each such call is written to DISK_FAULT_TRACE, a file elsewhere. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;
static atomic_int trace = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_below(const char *path) {
    const char *below = getenv("DISK_FAULT_BELOW");
    size_t length = below ? strlen(below) : 0;
    return length > 0 && strncmp(path, below, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

static void note(const char *call, const char *path, int failed) {
    const char *file = getenv("DISK_FAULT_TRACE");
    if (!file)
        return;
    if (trace < 0) {
        int opened = (int)syscall(SYS_openat, AT_FDCWD, file,
                                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int unset = -1;
        if (!atomic_compare_exchange_strong(&trace, &unset, opened))
            syscall(SYS_close, opened);
    }
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%s %s %s\n", failed ? "FAIL" : "ok", call, path);
    if (length > 0)
        syscall(SYS_write, trace, line, (size_t)length);
}

/* Whether this call is to fail: then errno is set. */
static int fails(const char *call, const char *path) {
    if (!is_below(path))
        return 0;
    const char *named = getenv("DISK_FAULT_CALLS");
    const char *at = getenv("DISK_FAULT_AT");
    int failed = 0;
    if (at && named && strstr(named, call)) {
        long now = atomic_fetch_add(&calls, 1) + 1, wanted = atol(at);
        failed = wanted > 0 && (now == wanted || (now > wanted && getenv("DISK_FAULT_STICKY")));
        note(call, path, failed);
    } else {
        note(call, path, 0);
    }
    if (failed)
        errno = atoi(getenv("DISK_FAULT_ERRNO"));
    return failed;
}

static int fd_fails(const char *call, int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    return fails(call, path);
}

static int is_late(void) { return getenv("DISK_FAULT_LATE") != NULL; }

/* The failure told after the call took effect. */
static int told(int real) {
    (void)real;
    errno = atoi(getenv("DISK_FAULT_ERRNO"));
    return -1;
}

static int open_with(const char *path, int flags, mode_t mode) {
    if ((flags & O_CREAT) && fails("open", path))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_with(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_with(path, flags | O_LARGEFILE, mode);
}

ssize_t read(int fd, void *bytes, size_t count) {
    return fd_fails("read", fd) ? -1 : REAL(read)(fd, bytes, count);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t at) {
    return fd_fails("read", fd) ? -1 : REAL(pread64)(fd, bytes, count, at);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return fd_fails("write", fd) ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *bytes, int count) {
    return fd_fails("write", fd) ? -1 : REAL(writev)(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return fd_fails("write", fd) ? -1 : REAL(pwrite64)(fd, bytes, count, at);
}

static int sync_with(int fd, int (*real)(int)) {
    if (!fd_fails("fsync", fd))
        return real(fd);
    struct stat file;
    int error = errno;
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && ftruncate(fd, file.st_size / 2) != 0)
        abort();
    errno = error;
    return -1;
}

int fsync(int fd) { return sync_with(fd, REAL(fsync)); }

int fdatasync(int fd) { return sync_with(fd, REAL(fdatasync)); }

int link(const char *from, const char *to) {
    if (!fails("link", to))
        return REAL(link)(from, to);
    return is_late() ? told(REAL(link)(from, to)) : -1;
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    if (!fails("link", to))
        return REAL(linkat)(from_at, from, to_at, to, flags);
    return is_late() ? told(REAL(linkat)(from_at, from, to_at, to, flags)) : -1;
}

int rename(const char *from, const char *to) {
    if (!fails("rename", to))
        return REAL(rename)(from, to);
    return is_late() ? told(REAL(rename)(from, to)) : -1;
}

int mkdir(const char *path, mode_t mode) {
    if (!fails("mkdir", path))
        return REAL(mkdir)(path, mode);
    return is_late() ? told(REAL(mkdir)(path, mode)) : -1;
}

int unlink(const char *path) { return fails("unlink", path) ? -1 : REAL(unlink)(path); }

/* A descriptor is closed even when closing fails. */
int close(int fd) {
    int failed = fd_fails("close", fd), error = errno;
    int closed = REAL(close)(fd);
    if (!failed)
        return closed;
    errno = error;
    return -1;
}
