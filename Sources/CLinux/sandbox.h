#pragma once
// What a process gives up before it reads bytes of strangers: file access (landlock), system calls (seccomp) and
// resources. The constants of the kernel's interface are written out here where the headers of the oldest supported
// distribution do not have them yet.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Any system call by number, for those that have no wrapper. The result is -1 with errno set, or what the call gives.
static inline long clinux_call(long number, long a, long b, long c, long d) {
  return syscall(number, a, b, c, d, 0L, 0L);
}

// MARK: Account

// Makes this process that of an account that nobody else has, and that owns no file: a number between those that systemd hands to
// containers and 2^31, one for each process; nobody's (65534) where a user namespace does not reach so far. Groups and
// capabilities go too. Only where its parent could still kill it then, so with CAP_KILL, CAP_SETGID and CAP_SETUID. Call it
// with one thread, and before clinux_die_with_parent, which a change of account undoes. -1 where the process stays root.
static inline int clinux_own_account(void) {
  struct {
    uint32_t version;
    int process;
  } header = {0x20080522, 0};
  struct {
    uint32_t effective, permitted, inheritable;
  } sets[2] = {{0, 0, 0}, {0, 0, 0}};
  const uint32_t needed = 1 << 5 | 1 << 6 | 1 << 7;
  if (syscall(SYS_capget, &header, sets) == 0 && (sets[0].effective & needed) == needed) {
    const long accounts[2] = {0x70000000L + getpid(), 65534L};
    syscall(SYS_setgroups, 0L, (void *)0);
    for (int index = 0; index < 2; index++) {
      const long account = accounts[index];
      if (syscall(SYS_setresgid, account, account, account) != 0) continue;
      if (syscall(SYS_setresuid, account, account, account) != 0) continue;
      for (int set = 0; set < 2; set++) sets[set].effective = sets[set].permitted = sets[set].inheritable = 0;
      return (int)syscall(SYS_capset, &header, sets);
    }
  }
  return geteuid() == 0 ? -1 : 0;
}

// MARK: Resources

// setrlimit(2), soft and hard alike, by the number of the resource.
static inline int clinux_limit(int resource, uint64_t most) {
  const uint64_t both[2] = {most, most};
  return (int)syscall(SYS_prlimit64, 0L, (long)resource, both, (void *)0);
}
enum {
  clinux_limit_cpu_seconds = 0,
  clinux_limit_file_bytes = 1,
  clinux_limit_core_bytes = 4,
  clinux_limit_processes = 6,
  clinux_limit_files = 7,
  clinux_limit_memory_bytes = 9,
};

// close_range(2), Linux 5.9; before that, one by one.
static inline void clinux_close_from(unsigned int first) {
  if (syscall(436L, first, ~0U, 0U) == 0) return;
  for (unsigned int descriptor = first; descriptor < 65536; descriptor++) close((int)descriptor);
}

// ioprio_set(2): best effort, the last in line.
static inline int clinux_last_in_io(void) { return (int)syscall(SYS_ioprio_set, 1L, 0L, 2L << 13 | 7L); }

// SCHED_IDLE and the idle class of ioprio_set(2), for the calling thread and those that it starts: whoever else wants the
// processor has it at once. Needs no privilege. -1 where one of the two is not to be had; the other one is.
static inline int clinux_run_when_idle(void) {
  const int priority = 0;
  return (int)(syscall(SYS_sched_setscheduler, 0L, 5L, &priority) | syscall(SYS_ioprio_set, 1L, 0L, 3L << 13));
}

// Killed when the thread that started this process ends; no core dump, not even through a pipe.
static inline int clinux_die_with_parent(void) {
  return prctl(PR_SET_PDEATHSIG, 9L, 0L, 0L, 0L) | prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
}

static inline int clinux_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L); }

// MARK: Landlock

// Handles every kind of access that the running kernel knows and allows none: no path can be opened, made, changed or
// run, no TCP port bound or connected, no abstract socket and no process outside reached. Descriptors that are open
// stay usable. 0, or -1 where the kernel has no landlock.
static inline int clinux_landlock_nothing(void) {
  const long version = syscall(444L, (void *)0, 0L, 1L);
  if (version < 1) return -1;
  struct {
    uint64_t files, network, scopes;
  } handled = {0x1FFF, 0, 0};
  size_t size = sizeof(uint64_t);
  if (version >= 2) handled.files |= 1ULL << 13;  // refer
  if (version >= 3) handled.files |= 1ULL << 14;  // truncate
  if (version >= 4) {
    handled.network = 3;  // bind and connect by TCP
    size = 2 * sizeof(uint64_t);
  }
  if (version >= 5) handled.files |= 1ULL << 15;  // ioctl on devices
  if (version >= 6) {
    handled.scopes = 3;  // abstract sockets, signals
    size = 3 * sizeof(uint64_t);
  }
  const long rules = syscall(444L, &handled, size, 0L);
  if (rules < 0) return -1;
  const long result = syscall(446L, rules, 0L);
  const int error = errno;
  close((int)rules);
  errno = error;
  return (int)result;
}

// MARK: Seccomp

#if defined(__x86_64__)
#define CLINUX_AUDIT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CLINUX_AUDIT_ARCH AUDIT_ARCH_AARCH64
#endif

#define CLINUX_LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define CLINUX_RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define CLINUX_REFUSE CLINUX_RETURN(SECCOMP_RET_ERRNO | EPERM)
#define CLINUX_ALLOW(call) \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), CLINUX_RETURN(SECCOMP_RET_ALLOW)
// Memory that can be written or read, never run.
#define CLINUX_ALLOW_UNLESS_EXECUTABLE(call)                                                      \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 4), CLINUX_LOAD(args[2]),                    \
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), CLINUX_REFUSE,                       \
      CLINUX_RETURN(SECCOMP_RET_ALLOW)

// Allows the calls that computing with open descriptors needs; every other one fails with EPERM. Calls of a foreign
// architecture end the process. With `threads` not 0, `clone` may make a thread of this process, never a process: the
// flags say which, and stand in a register. Those of `clone3` stand in memory, where a filter can't look: it fails with
// ENOSYS, at which C libraries turn to `clone`. 0, or -1 where the kernel has no seccomp or the architecture is none of ours.
static inline int clinux_seccomp_compute_only(int threads) {
#ifdef CLINUX_AUDIT_ARCH
  const uint32_t self = (uint32_t)getpid();
  struct sock_filter filter[] = {
      CLINUX_LOAD(arch),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLINUX_AUDIT_ARCH, 1, 0),
      CLINUX_RETURN(SECCOMP_RET_KILL_PROCESS),
      CLINUX_LOAD(nr),
#if defined(__x86_64__)
      // The x32 numbers are the same calls by another door.
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000U, 0, 1),
      CLINUX_RETURN(SECCOMP_RET_KILL_PROCESS),
#endif
      // The open descriptors.
      CLINUX_ALLOW(pread64), CLINUX_ALLOW(pwrite64), CLINUX_ALLOW(read), CLINUX_ALLOW(write),
      CLINUX_ALLOW(readv), CLINUX_ALLOW(writev), CLINUX_ALLOW(lseek), CLINUX_ALLOW(fstat), CLINUX_ALLOW(close),
      // Memory.
      CLINUX_ALLOW_UNLESS_EXECUTABLE(mmap), CLINUX_ALLOW_UNLESS_EXECUTABLE(mprotect), CLINUX_ALLOW(munmap),
      CLINUX_ALLOW(mremap), CLINUX_ALLOW(madvise), CLINUX_ALLOW(brk), CLINUX_ALLOW(sysinfo),
      // Locks, clocks, randomness for hashing.
      CLINUX_ALLOW(futex), CLINUX_ALLOW(sched_yield), CLINUX_ALLOW(sched_getaffinity),
      CLINUX_ALLOW(clock_gettime), CLINUX_ALLOW(clock_getres), CLINUX_ALLOW(gettimeofday),
      CLINUX_ALLOW(getrandom),
      // Signals of its own, and its end.
      CLINUX_ALLOW(rt_sigaction), CLINUX_ALLOW(rt_sigprocmask), CLINUX_ALLOW(rt_sigreturn),
      CLINUX_ALLOW(sigaltstack), CLINUX_ALLOW(getpid), CLINUX_ALLOW(gettid), CLINUX_ALLOW(getrusage),
      CLINUX_ALLOW(restart_syscall), CLINUX_ALLOW(exit), CLINUX_ALLOW(exit_group),
      // A thread, where those are allowed; the number that is never a call stands for none.
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, threads ? SYS_clone : 0xFFFFFFFFU, 0, 4), CLINUX_LOAD(args[0]),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x00010000U, 0, 1), CLINUX_RETURN(SECCOMP_RET_ALLOW), CLINUX_REFUSE,
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, threads ? SYS_clone3 : 0xFFFFFFFFU, 0, 1),
      CLINUX_RETURN(SECCOMP_RET_ERRNO | ENOSYS),
      // What the C library does for each of its threads.
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, threads ? SYS_set_robust_list : 0xFFFFFFFFU, 0, 1),
      CLINUX_RETURN(SECCOMP_RET_ALLOW),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, threads ? SYS_rseq : 0xFFFFFFFFU, 0, 1),
      CLINUX_RETURN(SECCOMP_RET_ALLOW),
      // abort(3) signals the own process by this one.
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 3), CLINUX_LOAD(args[0]),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, self, 0, 1), CLINUX_RETURN(SECCOMP_RET_ALLOW),
      CLINUX_REFUSE,
  };
  const struct sock_fprog program = {(unsigned short)(sizeof filter / sizeof *filter), filter};
  return (int)syscall(SYS_seccomp, (long)SECCOMP_SET_MODE_FILTER, 0L, &program);
#else
  errno = ENOSYS;
  return -1;
#endif
}
