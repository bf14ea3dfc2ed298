/* Ends the process by SIGKILL at one of its calls that change files: the one whose number `kill_at` was given.

Loaded by LD_PRELOAD. Counts from 1, before the call is made; until `kill_at` is called nothing happens. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long left;

void kill_at(long call) { left = call; }

static void count(void) {
  if (left && --left == 0) raise(SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int rename(const char* from, const char* to) { count(); return REAL(rename)(from, to); }
int renameat(int a, const char* from, int b, const char* to) { count(); return REAL(renameat)(a, from, b, to); }
int unlink(const char* path) { count(); return REAL(unlink)(path); }
int unlinkat(int folder, const char* path, int flags) { count(); return REAL(unlinkat)(folder, path, flags); }
int mkdir(const char* path, mode_t mode) { count(); return REAL(mkdir)(path, mode); }
int mkdirat(int folder, const char* path, mode_t mode) { count(); return REAL(mkdirat)(folder, path, mode); }
int rmdir(const char* path) { count(); return REAL(rmdir)(path); }
int chmod(const char* path, mode_t mode) { count(); return REAL(chmod)(path, mode); }
ssize_t write(int file, const void* bytes, size_t size) { count(); return REAL(write)(file, bytes, size); }
