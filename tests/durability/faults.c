/* A disk that fails when it is told to: preloaded before libc, it counts the calls that write or sync the files of one
   path and lets some of them fail, write only half, or kill the process before they do anything. Where the power is to
   fail, it keeps beside each file what of it was synced last (.synced).

   cc -shared -fPIC -o faults.so faults.c -ldl */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2 };
enum { FAILS, TEARS, KILLS, POWER_FAILS };

static char path[PATH_MAX];
static int kinds, how, number;
static long first, last, counted;

/* From the `from`-th to the `to`-th of these calls on files whose path begins with `file`, counted from 1. */
void fault_arm(const char *file, int of, int does, long from, long to, int error) {
    snprintf(path, sizeof path, "%s", file);
    how = does, first = from, last = to, number = error;
    __atomic_store_n(&counted, 0, __ATOMIC_SEQ_CST);
    kinds = of;
}

long fault_counted(void) { return __atomic_load_n(&counted, __ATOMIC_SEQ_CST); }

/* The number of this call, if something is meant to happen to it. */
static long meant(int fd, int kind) {
    char name[64], found[PATH_MAX];
    if (!(kinds & kind)) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, found, sizeof found - 1);
    if (length < 0) return 0;
    found[length] = 0;
    if (strncmp(found, path, strlen(path))) return 0;
    long n = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    if (n < first || n > last) return 0;
    if (how == KILLS || how == POWER_FAILS) kill(getpid(), SIGKILL);
    errno = number;
    return n;
}

/* What the disk has of this file for sure. */
static int synced(int fd) {
    char name[64], found[PATH_MAX], data[65536];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, found, sizeof found - 8);
    if (how != POWER_FAILS || length < 0 || strncmp(found, path, strlen(path))) return 0;
    memcpy(found + length, ".synced", 8);
    int copy = open(found, O_WRONLY | O_CREAT | O_TRUNC, 0644), from = open(name, O_RDONLY);
    for (ssize_t n; (n = read(from, data, sizeof data)) > 0;) syscall(SYS_write, copy, data, n);
    close(from), close(copy);
    return 0;
}

/* The first call that is torn writes half; what comes after it fails. */
#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define WRITE(name, offset)                                                                      \
    ssize_t name(int fd, const void *data, size_t size, offset at) {                             \
        NEXT(name);                                                                              \
        long n = meant(fd, WRITES);                                                              \
        if (!n) return next(fd, data, size, at);                                                 \
        return how == TEARS && n == first ? next(fd, data, size / 2, at) : -1;                   \
    }
#define TRUNCATE(name, offset)                                                                   \
    int name(int fd, offset length) {                                                            \
        NEXT(name);                                                                              \
        return meant(fd, WRITES) ? -1 : next(fd, length);                                        \
    }
#define SYNC(name)                                                                               \
    int name(int fd) {                                                                           \
        NEXT(name);                                                                              \
        return meant(fd, SYNCS) || next(fd) ? -1 : synced(fd);                                                \
    }

WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)
SYNC(fsync)
SYNC(fdatasync)

ssize_t write(int fd, const void *data, size_t size) {
    NEXT(write);
    long n = meant(fd, WRITES);
    if (!n) return next(fd, data, size);
    return how == TEARS && n == first ? next(fd, data, size / 2) : -1;
}
