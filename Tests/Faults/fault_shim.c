// A library for LD_PRELOAD that stands between a program and the C library and makes disks fail.
//
// It is steered by a file of one page that test and program both map (HEADWATER_FAULTS names it): the test says there
// which calls fail, how, and from when on, also while the program runs, and reads there how many calls there were.
// Its layout is `struct control`; Tests/Support/FaultShim.swift knows the same offsets.
//
// - Only calls on paths below `folder` are counted and failed, so libraries and configuration load undisturbed. What
//   a descriptor belongs to is asked from /proc/self/fd: slow, and true after any dup, link or rename.
// - A fault comes at the n-th matching call (`countdown`), optionally at all later ones too (`sticky`), or at a share
//   of all calls (`per_mille`, from a seed). It is an error number, half of the bytes asked for, a delay, or the end of
//   the process on the spot.
// - With `trace` every change of the folder is also written to a file, in the order in which it happened, over all
//   threads and processes: what PowerCut.swift makes crash states from.
// - `clock_offset_seconds` is added to the wall clock, never to the monotonic one.
// - The kind `MALLOC` fails allocations whose caller lies in a library named by `library`: Swift itself takes no
//   failed allocation, so failing all of them would show nothing but that.
//
// Calls made by number (fallocate, preadv2) are seen in `syscall`. What goes round the C library altogether is not
// seen; nothing here does.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind {
  OPEN, READ, PREAD, WRITE, PWRITE, FSYNC, FDATASYNC, RENAME, LINK, UNLINK, MKDIR, FTRUNCATE, FALLOCATE, MMAP,
  SENDFILE, STAT, OPENDIR, MALLOC, KINDS
};
enum mode { NONE, FAIL, SHORT, DELAY, KILL };

struct control {
  uint32_t mode;
  uint32_t kinds;
  int32_t error;
  uint32_t delay_milliseconds;
  _Atomic int64_t countdown;
  uint32_t sticky;
  uint32_t per_mille;
  uint64_t seed;
  _Atomic int64_t clock_offset_seconds;
  _Atomic uint64_t faults;
  _Atomic uint64_t counts[24];
  char folder[1024];
  char trace[1024];
  char last_path[1024];
  char only[256];
  char library[128];
};

static struct control *control;
static int trace_descriptor = -1;
static pthread_mutex_t tracing = PTHREAD_MUTEX_INITIALIZER;
static __thread int inside;

static long made(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else
#error "say here how this processor makes a system call"
#endif
}

// A system call that no wrapper sees, with its result as the C library gives it.
static long raw(long number, long a, long b, long c, long d, long e, long f) {
  long result = made(number, a, b, c, d, e, f);
  if (result < 0 && result > -4096) {
    errno = (int)-result;
    return -1;
  }
  return result;
}
#define RAW_(number, a, b, c, d, e, f, ...) raw(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define RAW(...) RAW_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("HEADWATER_FAULTS");
  if (!path) return;
  int descriptor = (int)RAW(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  if (descriptor < 0) return;
  void *page = (void *)RAW(SYS_mmap, NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  RAW(SYS_close, descriptor);
  if (page == MAP_FAILED) return;
  struct control *found = page;
  if (found->trace[0])
    trace_descriptor = (int)RAW(SYS_openat, AT_FDCWD, found->trace, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  control = found;
}

#define NEXT(name) \
  static __typeof__(&name) next; \
  if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

// MARK: What is below the folder, and what is to fail

static int is_below(const char *path) {
  size_t length = strlen(control->folder);
  return length && !strncmp(path, control->folder, length) && (path[length] == '/' || !path[length]);
}

static int path_of(int descriptor, char *path) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
  ssize_t count = RAW(SYS_readlinkat, AT_FDCWD, name, path, PATH_MAX - 1);
  if (count <= 0) return 0;
  path[count] = 0;
  return 1;
}

static int concerns(int descriptor, char *path) {
  if (!control || inside || !control->folder[0]) return 0;
  int saved = errno;
  int found = path_of(descriptor, path) && is_below(path);
  errno = saved;
  return found;
}

static int concerns_path(const char *path) { return control && !inside && path && is_below(path); }

static uint64_t mixed(uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

// Counts a call; answers what is to become of it. FAIL has set errno.
static enum mode decide(enum kind kind, const char *path) {
  uint64_t number = atomic_fetch_add(&control->counts[kind], 1);
  if (control->mode == NONE || !(control->kinds >> kind & 1)) return NONE;
  if (control->only[0] && !strstr(path, control->only)) return NONE;
  int hit = 0;
  if (control->per_mille) {
    hit = mixed(control->seed ^ (uint64_t)kind << 56 ^ number) % 1000 < control->per_mille;
  } else {
    int64_t left = atomic_fetch_sub(&control->countdown, 1);
    hit = left == 1 || (left < 1 && control->sticky);
  }
  if (!hit) return NONE;
  atomic_fetch_add(&control->faults, 1);
  snprintf(control->last_path, sizeof control->last_path, "%s", path);
  switch (control->mode) {
    case KILL:
      RAW(SYS_kill, getpid(), SIGKILL);
      for (;;) pause();
    case DELAY: {
      struct timespec pause = {control->delay_milliseconds / 1000, control->delay_milliseconds % 1000 * 1000000L};
      RAW(SYS_nanosleep, &pause, NULL);
      return NONE;
    }
    case FAIL: errno = control->error; return FAIL;
    default: return control->mode;
  }
}

// MARK: The trace

enum change { CREATE = 1, DATA, SYNC, TRUNCATE, LINKED, RENAMED, UNLINKED, MADE };

struct record {
  uint32_t size;
  uint8_t change;
  uint8_t is_synchronous;
  uint16_t unused;
  uint64_t inode;
  int64_t offset;
  uint32_t path_bytes, second_bytes, data_bytes, unused2;
};

static int begin_trace(void) {
  if (trace_descriptor < 0) return 0;
  pthread_mutex_lock(&tracing);
  inside++;
  RAW(SYS_flock, trace_descriptor, LOCK_EX);
  return 1;
}

static void end_trace(int traced) {
  if (!traced) return;
  int saved = errno;
  RAW(SYS_flock, trace_descriptor, LOCK_UN);
  inside--;
  pthread_mutex_unlock(&tracing);
  errno = saved;
}

static void record(
    int traced, enum change change, int synchronous, uint64_t inode, int64_t offset, const char *path,
    const char *second, const void *data, size_t count) {
  if (!traced) return;
  int saved = errno;
  struct record head = {
      .change = (uint8_t)change, .is_synchronous = (uint8_t)synchronous, .inode = inode, .offset = offset,
      .path_bytes = (uint32_t)strlen(path), .second_bytes = second ? (uint32_t)strlen(second) : 0,
      .data_bytes = data ? (uint32_t)count : 0};
  head.size = (uint32_t)sizeof head + head.path_bytes + head.second_bytes + head.data_bytes;
  struct iovec parts[4] = {
      {&head, sizeof head}, {(void *)path, head.path_bytes}, {(void *)second, head.second_bytes},
      {(void *)data, head.data_bytes}};
  ssize_t written = RAW(SYS_writev, trace_descriptor, parts, 4);
  // A trace with a hole would prove nothing: better no program than that.
  if (written != (ssize_t)head.size) abort();
  errno = saved;
}

static uint64_t inode_of(int descriptor) {
  struct stat status;
  return RAW(SYS_fstat, descriptor, &status) == 0 ? status.st_ino : 0;
}

static int is_synchronous(int descriptor) { return (RAW(SYS_fcntl, descriptor, F_GETFL) & O_DSYNC) != 0; }

// MARK: Opening

static int opened(int (*next)(const char *, int, ...), const char *path, int flags, mode_t mode) {
  if (!concerns_path(path)) return next(path, flags, mode);
  if (decide(OPEN, path) == FAIL) return -1;
  int traced = flags & (O_CREAT | O_TRUNC) ? begin_trace() : 0;
  int existed = traced ? RAW(SYS_faccessat, AT_FDCWD, path, F_OK) == 0 : 1;
  int descriptor = next(path, flags, mode);
  if (descriptor >= 0) {
    if (!existed) record(traced, CREATE, 0, inode_of(descriptor), 0, path, NULL, NULL, 0);
    else if (flags & O_TRUNC) record(traced, TRUNCATE, 0, inode_of(descriptor), 0, path, NULL, NULL, 0);
  }
  end_trace(traced);
  return descriptor;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open(const char *path, int flags, ...) { MODE(flags) NEXT(open); return opened(next, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) NEXT(open64); return opened(next, path, flags, mode); }

int openat(int folder, const char *path, int flags, ...) {
  MODE(flags)
  NEXT(openat);
  if (concerns_path(path) && decide(OPEN, path) == FAIL) return -1;
  return next(folder, path, flags, mode);
}

DIR *opendir(const char *path) {
  NEXT(opendir);
  if (concerns_path(path) && decide(OPENDIR, path) == FAIL) return NULL;
  return next(path);
}

// MARK: Reading

ssize_t read(int descriptor, void *bytes, size_t count) {
  NEXT(read);
  char path[PATH_MAX];
  if (concerns(descriptor, path)) {
    enum mode mode = decide(READ, path);
    if (mode == FAIL) return -1;
    if (mode == SHORT && count > 1) count /= 2;
  }
  return next(descriptor, bytes, count);
}

static ssize_t read_at(
    ssize_t (*next)(int, void *, size_t, off_t), int descriptor, void *bytes, size_t count, off_t offset) {
  char path[PATH_MAX];
  if (concerns(descriptor, path)) {
    enum mode mode = decide(PREAD, path);
    if (mode == FAIL) return -1;
    if (mode == SHORT && count > 1) count /= 2;
  }
  return next(descriptor, bytes, count, offset);
}

ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
  NEXT(pread);
  return read_at(next, descriptor, bytes, count, offset);
}
ssize_t pread64(int descriptor, void *bytes, size_t count, off64_t offset) {
  NEXT(pread64);
  return read_at(next, descriptor, bytes, count, offset);
}

static ssize_t sent(
    ssize_t (*next)(int, int, off_t *, size_t), int out, int in, off_t *offset, size_t count) {
  char path[PATH_MAX];
  if (concerns(in, path)) {
    enum mode mode = decide(SENDFILE, path);
    if (mode == FAIL) return -1;
    if (mode == SHORT && count > 1) count /= 2;
  }
  return next(out, in, offset, count);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count) {
  NEXT(sendfile);
  return sent(next, out, in, offset, count);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) {
  NEXT(sendfile64);
  return sent(next, out, in, offset, count);
}

static void *mapped(
    void *(*next)(void *, size_t, int, int, int, off_t), void *at, size_t count, int protection, int flags,
    int descriptor, off_t offset) {
  char path[PATH_MAX];
  if (!(flags & MAP_ANONYMOUS) && concerns(descriptor, path) && decide(MMAP, path) == FAIL) return MAP_FAILED;
  return next(at, count, protection, flags, descriptor, offset);
}

void *mmap(void *at, size_t count, int protection, int flags, int descriptor, off_t offset) {
  NEXT(mmap);
  return mapped(next, at, count, protection, flags, descriptor, offset);
}
void *mmap64(void *at, size_t count, int protection, int flags, int descriptor, off64_t offset) {
  NEXT(mmap64);
  return mapped(next, at, count, protection, flags, descriptor, offset);
}

int stat(const char *path, struct stat *status) {
  NEXT(stat);
  if (concerns_path(path) && decide(STAT, path) == FAIL) return -1;
  return next(path, status);
}

int fstat(int descriptor, struct stat *status) {
  NEXT(fstat);
  char path[PATH_MAX];
  if (concerns(descriptor, path) && decide(STAT, path) == FAIL) return -1;
  return next(descriptor, status);
}

// MARK: Writing

ssize_t write(int descriptor, const void *bytes, size_t count) {
  NEXT(write);
  char path[PATH_MAX];
  if (!concerns(descriptor, path)) return next(descriptor, bytes, count);
  enum mode mode = decide(WRITE, path);
  if (mode == FAIL) return -1;
  if (mode == SHORT && count > 1) count /= 2;
  int traced = begin_trace();
  int64_t offset = traced ? lseek(descriptor, 0, SEEK_CUR) : 0;
  ssize_t written = next(descriptor, bytes, count);
  if (written > 0)
    record(traced, DATA, is_synchronous(descriptor), inode_of(descriptor), offset, path, NULL, bytes, (size_t)written);
  end_trace(traced);
  return written;
}

static ssize_t wrote_at(
    ssize_t (*next)(int, const void *, size_t, off_t), int descriptor, const void *bytes, size_t count,
    off_t offset) {
  char path[PATH_MAX];
  if (!concerns(descriptor, path)) return next(descriptor, bytes, count, offset);
  enum mode mode = decide(PWRITE, path);
  if (mode == FAIL) return -1;
  if (mode == SHORT && count > 1) count /= 2;
  int traced = begin_trace();
  ssize_t written = next(descriptor, bytes, count, offset);
  if (written > 0)
    record(traced, DATA, is_synchronous(descriptor), inode_of(descriptor), offset, path, NULL, bytes, (size_t)written);
  end_trace(traced);
  return written;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  NEXT(pwrite);
  return wrote_at(next, descriptor, bytes, count, offset);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
  NEXT(pwrite64);
  return wrote_at(next, descriptor, bytes, count, offset);
}

// LMDB writes runs of pages at the place that lseek has set.
ssize_t writev(int descriptor, const struct iovec *parts, int number) {
  NEXT(writev);
  char path[PATH_MAX];
  if (!concerns(descriptor, path)) return next(descriptor, parts, number);
  enum mode mode = decide(WRITE, path);
  if (mode == FAIL) return -1;
  if (mode == SHORT && number > 1) number /= 2;
  int traced = begin_trace();
  int64_t offset = traced ? lseek(descriptor, 0, SEEK_CUR) : 0;
  ssize_t written = next(descriptor, parts, number);
  ssize_t left = written;
  for (int index = 0; index < number && left > 0; index++) {
    size_t count = parts[index].iov_len < (size_t)left ? parts[index].iov_len : (size_t)left;
    record(
        traced, DATA, is_synchronous(descriptor), inode_of(descriptor), offset, path, NULL, parts[index].iov_base, count);
    offset += (int64_t)count;
    left -= (ssize_t)count;
  }
  end_trace(traced);
  return written;
}

static int resized(int (*next)(int, off_t), int descriptor, off_t length) {
  char path[PATH_MAX];
  if (!concerns(descriptor, path)) return next(descriptor, length);
  if (decide(FTRUNCATE, path) == FAIL) return -1;
  int traced = begin_trace();
  int result = next(descriptor, length);
  if (result == 0) record(traced, TRUNCATE, 0, inode_of(descriptor), length, path, NULL, NULL, 0);
  end_trace(traced);
  return result;
}

int ftruncate(int descriptor, off_t length) { NEXT(ftruncate); return resized(next, descriptor, length); }
int ftruncate64(int descriptor, off64_t length) { NEXT(ftruncate64); return resized(next, descriptor, length); }

static int synced(int (*next)(int), enum kind kind, int descriptor) {
  char path[PATH_MAX];
  if (!concerns(descriptor, path)) return next(descriptor);
  if (decide(kind, path) == FAIL) return -1;
  int traced = begin_trace();
  int result = next(descriptor);
  if (result == 0) record(traced, SYNC, 0, inode_of(descriptor), 0, path, NULL, NULL, 0);
  end_trace(traced);
  return result;
}

int fsync(int descriptor) { NEXT(fsync); return synced(next, FSYNC, descriptor); }
int fdatasync(int descriptor) { NEXT(fdatasync); return synced(next, FDATASYNC, descriptor); }

// MARK: Names

int rename(const char *from, const char *to) {
  NEXT(rename);
  if (!concerns_path(to)) return next(from, to);
  if (decide(RENAME, to) == FAIL) return -1;
  int traced = begin_trace();
  int result = next(from, to);
  if (result == 0) record(traced, RENAMED, 0, 0, 0, from, to, NULL, 0);
  end_trace(traced);
  return result;
}

int link(const char *from, const char *to) {
  NEXT(link);
  if (!concerns_path(to)) return next(from, to);
  if (decide(LINK, to) == FAIL) return -1;
  int traced = begin_trace();
  int result = next(from, to);
  if (result == 0) record(traced, LINKED, 0, 0, 0, from, to, NULL, 0);
  end_trace(traced);
  return result;
}

int unlink(const char *path) {
  NEXT(unlink);
  if (!concerns_path(path)) return next(path);
  if (decide(UNLINK, path) == FAIL) return -1;
  int traced = begin_trace();
  int result = next(path);
  if (result == 0) record(traced, UNLINKED, 0, 0, 0, path, NULL, NULL, 0);
  end_trace(traced);
  return result;
}

int mkdir(const char *path, mode_t mode) {
  NEXT(mkdir);
  if (!concerns_path(path)) return next(path, mode);
  if (decide(MKDIR, path) == FAIL) return -1;
  int traced = begin_trace();
  int result = next(path, mode);
  if (result == 0) record(traced, MADE, 0, 0, 0, path, NULL, NULL, 0);
  end_trace(traced);
  return result;
}

// MARK: By number

long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long), d = va_arg(list, long),
       e = va_arg(list, long), f = va_arg(list, long);
  va_end(list);
  char path[PATH_MAX];
  if (control && !inside && (number == SYS_fallocate || number == SYS_preadv2) && concerns((int)a, path)) {
    enum mode mode = decide(number == SYS_fallocate ? FALLOCATE : PREAD, path);
    if (mode == FAIL) return -1;
  }
  return raw(number, a, b, c, d, e, f);
}

// MARK: The wall clock

int clock_gettime(clockid_t clock, struct timespec *now) {
  NEXT(clock_gettime);
  int result = next(clock, now);
  if (result == 0 && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += control->clock_offset_seconds;
  return result;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  NEXT(gettimeofday);
  int result = next(now, zone);
  if (result == 0 && control) now->tv_sec += control->clock_offset_seconds;
  return result;
}

// MARK: Memory

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

// Where the code of the library lies whose allocations fail; asked once, since allocations are many.
static uintptr_t library_begin, library_end;

static int find_library(struct dl_phdr_info *info, size_t size, void *unused) {
  (void)size;
  (void)unused;
  if (!info->dlpi_name || !strstr(info->dlpi_name, control->library)) return 0;
  for (int index = 0; index < info->dlpi_phnum; index++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[index];
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
    library_begin = info->dlpi_addr + segment->p_vaddr;
    library_end = library_begin + segment->p_memsz;
  }
  return 1;
}

static int refuses(void *caller) {
  if (!control || inside || !(control->kinds >> MALLOC & 1) || control->mode == NONE) return 0;
  inside++;
  if (!library_end && control->library[0]) dl_iterate_phdr(find_library, NULL);
  inside--;
  if ((uintptr_t)caller < library_begin || (uintptr_t)caller >= library_end) return 0;
  return decide(MALLOC, control->library) == FAIL;
}

void *malloc(size_t count) { return refuses(__builtin_return_address(0)) ? NULL : __libc_malloc(count); }
void *calloc(size_t number, size_t count) {
  return refuses(__builtin_return_address(0)) ? NULL : __libc_calloc(number, count);
}
void *realloc(void *old, size_t count) {
  return refuses(__builtin_return_address(0)) ? NULL : __libc_realloc(old, count);
}
// What av_malloc calls.
int posix_memalign(void **out, size_t alignment, size_t count) {
  void *found = refuses(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, count);
  if (!found) return ENOMEM;
  *out = found;
  return 0;
}
