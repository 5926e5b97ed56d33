/* Makes the n-th call that writes below a folder fail, as a full or broken disk does.
 *
 * Loaded with LD_PRELOAD. Inside the process: faults_arm(folder, n, errno, for_ever) and
 * faults_count(). From outside: FAULTS_ROOT names the folder and FAULTS_WHILE a file; as long as the
 * file is there every write below the folder fails with ENOSPC.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char root[PATH_MAX];
static long armed, count;
static int error_code, for_ever;

void faults_arm(const char *folder, long nth, int error, int always) {
    snprintf(root, sizeof root, "%s", folder);
    count = 0;
    armed = nth;
    error_code = error;
    for_ever = always;
}

long faults_count(void) { return count; }

static int below(const char *path) {
    const char *outside = getenv("FAULTS_ROOT");
    const char *folder = armed ? root : outside;
    return path && folder && *folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int fails(const char *path) {
    const char *while_there = getenv("FAULTS_WHILE");
    if (!below(path)) return 0;
    if (armed) {
        count++;
        if (count == armed || (for_ever && count > armed)) {
            errno = error_code;
            return 1;
        }
        return 0;
    }
    if (while_there && faccessat(AT_FDCWD, while_there, F_OK, 0) == 0) {
        errno = ENOSPC;
        return 1;
    }
    return 0;
}

static int fails_fd(int fd) {
    char link[64], path[PATH_MAX];
    int kept = errno;
    if (!armed && !getenv("FAULTS_WHILE")) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0) return 0;
    path[length] = 0;
    return fails(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define BY_FD(name, result, parameters, arguments)                                    \
    result name parameters {                                                          \
        static __typeof__(&name) real;                                                \
        if (!real) real = REAL(name);                                                 \
        return fails_fd(fd) ? -1 : real arguments;                                    \
    }

/* A disk that fills up takes a part of the data first. */
ssize_t write(int fd, const void *data, size_t size) {
    static __typeof__(&write) real;
    if (!real) real = REAL(write);
    if (!fails_fd(fd)) return real(fd, data, size);
    if (for_ever && errno == ENOSPC && count == armed && size > 1) return real(fd, data, size / 2);
    return -1;
}

BY_FD(pwrite, ssize_t, (int fd, const void *d, size_t n, off_t at), (fd, d, n, at))
BY_FD(pwrite64, ssize_t, (int fd, const void *d, size_t n, off64_t at), (fd, d, n, at))
BY_FD(fsync, int, (int fd), (fd))
BY_FD(fdatasync, int, (int fd), (fd))

/* A full disk lets files become shorter. */
#define BY_SHORTENING(name, offset)                                                   \
    int name(int fd, offset size) {                                                   \
        static __typeof__(&name) real;                                                \
        if (!real) real = REAL(name);                                                 \
        return error_code != ENOSPC && fails_fd(fd) ? -1 : real(fd, size);            \
    }

BY_SHORTENING(ftruncate, off_t)
BY_SHORTENING(ftruncate64, off64_t)

#define BY_PATH(name, parameters, path, arguments)                                    \
    int name parameters {                                                             \
        static __typeof__(&name) real;                                                \
        if (!real) real = REAL(name);                                                 \
        return fails(path) ? -1 : real arguments;                                     \
    }

BY_PATH(rename, (const char *from, const char *to), to, (from, to))
BY_PATH(renameat, (int a, const char *from, int b, const char *to), to, (a, from, b, to))
BY_PATH(link, (const char *from, const char *to), to, (from, to))
BY_PATH(linkat, (int a, const char *from, int b, const char *to, int f), to, (a, from, b, to, f))
BY_PATH(mkdir, (const char *path, mode_t mode), path, (path, mode))

#define OPENS(flags) ((flags) & (O_CREAT | O_WRONLY | O_RDWR))

#define BY_OPEN(name)                                                                 \
    int name(const char *path, int flags, ...) {                                      \
        static __typeof__(&name) real;                                                \
        va_list rest;                                                                 \
        va_start(rest, flags);                                                        \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;     \
        va_end(rest);                                                                 \
        if (!real) real = REAL(name);                                                 \
        return OPENS(flags) && fails(path) ? -1 : real(path, flags, mode);            \
    }

BY_OPEN(open)
BY_OPEN(open64)
