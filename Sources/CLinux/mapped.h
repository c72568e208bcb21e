#pragma once
// Copying out of a mapped file.
//
// A page of a mapping that cannot be had, since the file was cut short or its disk fails, is no error of a call but the signal
// SIGBUS at the instruction that touches it. Here it becomes an error again: the copy runs under a guard of its thread, and the
// handler of the signal goes back to where the copy began if the address that failed lies in the mapping being copied from.
// Any other SIGBUS finds the action that was there before, and so ends the process as it would without this file.
//
// Nothing but memcpy runs under the guard, so that going back leaves no lock held and nothing half done.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct clinux_piece {
  uint64_t offset;
  uint64_t count;
};

struct clinux_guard {
  sigjmp_buf start;
  uintptr_t lower;
  uintptr_t upper;
};

// Variables are inside of functions: Swift takes those of a header with it, but no variables beside them.

// The guard of the thread. Looked at by the handler in the middle of the copy, so it must be in memory at every instruction of it.
static inline struct clinux_guard *volatile *clinux_guarded(void) {
  static _Thread_local struct clinux_guard *volatile guard;
  return &guard;
}

// What was to happen on SIGBUS before.
static inline struct sigaction *clinux_unguarded(void) {
  static struct sigaction action;
  return &action;
}

static inline void clinux_on_bus_error(int number, siginfo_t *what, void *context) {
  (void)number;
  (void)context;
  struct clinux_guard *guard = *clinux_guarded();
  uintptr_t address = (uintptr_t)what->si_addr;
  // Positive codes are the kernel's own; who sends the signal by kill(2) gives no address.
  if (guard && what->si_code > 0 && address >= guard->lower && address < guard->upper) siglongjmp(guard->start, 1);
  // The same access comes again, to the action of before.
  sigaction(SIGBUS, clinux_unguarded(), NULL);
  if (what->si_code <= 0) raise(SIGBUS);
}

// To be called once before the first copy, from the same Swift file: each file has its own copy of what is static here. 0, or -1
// with errno.
static inline int clinux_guard_mappings(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = clinux_on_bus_error;
  // Not blocked while it is handled: it may come again in the next copy, and the handler is not returned from.
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  return sigaction(SIGBUS, &action, clinux_unguarded());
}

// Copies pieces of a mapping to memory, one behind the other. 0, or -1 with errno: EFAULT where a page cannot be had, ERANGE for a
// piece outside of the mapping, or of the room. Of a file that was cut in the middle of a page, the rest of that page is zeros.
__attribute__((noinline)) static inline int clinux_copy_mapped(
    void *to, size_t room, const void *mapping, uint64_t size, const struct clinux_piece *pieces, size_t count) {
  struct clinux_guard *volatile *guarded = clinux_guarded();
  struct clinux_guard guard;
  guard.lower = (uintptr_t)mapping;
  guard.upper = (uintptr_t)mapping + size;
  if (sigsetjmp(guard.start, 0)) {
    *clinux_guarded() = NULL;
    errno = EFAULT;
    return -1;
  }
  *guarded = &guard;
  int outside = 0;
  for (size_t index = 0; index < count; index++) {
    uint64_t offset = pieces[index].offset, bytes = pieces[index].count;
    if (offset > size || bytes > size - offset || bytes > room) {
      outside = 1;
      break;
    }
    memcpy(to, (const char *)mapping + offset, bytes);
    to = (char *)to + bytes;
    room -= bytes;
  }
  // The guard is not taken down before the last copy is done.
  __asm__ volatile("" ::: "memory");
  *guarded = NULL;
  if (outside) errno = ERANGE;
  return outside ? -1 : 0;
}
