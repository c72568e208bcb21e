#pragma once
// System calls that the C library hides behind _GNU_SOURCE, or has no wrapper for yet. They are made by number, because
// defining _GNU_SOURCE here would give fd_set other member names than in Swift's Glibc module, and the compiler refuses a
// program with both.
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

// cachestat(2), Linux 6.5: which pages of a file range are in the page cache.
struct clinux_cachestat_range {
  uint64_t off;
  uint64_t len;
};
struct clinux_cachestat {
  uint64_t cached;
  uint64_t dirty;
  uint64_t writeback;
  uint64_t evicted;
  uint64_t recently_evicted;
};
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif
static inline int clinux_cachestat(
    int fd, struct clinux_cachestat_range *range, struct clinux_cachestat *out) {
  return (int)syscall(__NR_cachestat, fd, range, out, 0);
}

// preadv2(2) with RWF_NOWAIT: read only what is in the page cache.
static inline ssize_t clinux_pread_nowait(int fd, void *bytes, size_t count, off_t offset) {
  struct iovec vector = {bytes, count};
  // The kernel takes the offset as two halves; 64-bit systems use the first alone.
  return syscall(SYS_preadv2, fd, &vector, 1L, (long)offset, 0L, 0x00000008L);
}

static inline ssize_t clinux_sendfile(int out, int in, off_t *offset, size_t count) {
  return sendfile(out, in, offset, count);
}

// At most so many arenas for malloc. 0 where it does not take the number.
static inline int clinux_limit_arenas(int count) { return mallopt(M_ARENA_MAX, count) == 1 ? 0 : -1; }

// PR_SET_NAME: the calling thread's name as top and debuggers show it; at most 15 bytes are used.
static inline int clinux_set_thread_name(const char *name) {
  return prctl(PR_SET_NAME, name, 0L, 0L, 0L);
}

// fallocate(2) with FALLOC_FL_KEEP_SIZE: blocks past the end of a file, whose size stays.
static inline int clinux_reserve(int fd, off_t offset, off_t count) {
  return (int)syscall(SYS_fallocate, fd, 0x01, offset, count);
}

// The f_type of statfs(2), or 0 where the call fails.
static inline uint32_t clinux_filesystem_type(const char *path) {
  struct statfs status;
  return statfs(path, &status) == 0 ? (uint32_t)status.f_type : 0;
}

// memfd_create(2): a file in memory. 0x0003 is MFD_CLOEXEC | MFD_ALLOW_SEALING.
static inline int clinux_memory_file(const char *name) {
  return (int)syscall(SYS_memfd_create, name, 0x0003U);
}

// fcntl(2) F_ADD_SEALS with F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE: nobody changes the file any more.
static inline int clinux_seal(int fd) { return fcntl(fd, 1033, 0x000F); }

// A file action that closes all descriptors from `first` on in the program about to start (glibc 2.34).
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int first);
static inline int clinux_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
  return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

// No signal blocked and none ignored in the program about to start, whatever the thread that starts it has: needs
// POSIX_SPAWN_SETSIGMASK and POSIX_SPAWN_SETSIGDEF among the flags.
static inline void clinux_spawn_default_signals(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &all);
}

// Kernel TLS, Documentation/networking/tls.rst: TCP_ULP (31) of IPPROTO_TCP, then TLS_TX of SOL_TLS (282).
static inline int clinux_tls_attach(int fd) { return setsockopt(fd, 6, 31, "tls", sizeof "tls"); }

// What is sent from now on is encrypted by the kernel, in records of TLS 1.3 that are numbered from `number` (8 bytes) on.
// `key` has the size that the cipher wants, `vector` 12 bytes. -1 with EINVAL for a cipher of another kind.
#define CLINUX_TLS_SET(kind, constant)                                    \
  struct kind info = {.info = {TLS_1_3_VERSION, constant}};               \
  memcpy(info.rec_seq, number, sizeof info.rec_seq);                      \
  memcpy(info.key, key, sizeof info.key);                                 \
  memcpy(info.salt, vector, sizeof info.salt);                            \
  memcpy(info.iv, vector + sizeof info.salt, sizeof info.iv);             \
  int result = setsockopt(fd, 282, TLS_TX, &info, sizeof info);           \
  memset(&info, 0, sizeof info);                                          \
  __asm__ volatile("" : : "r"(&info) : "memory");                         \
  return result
static inline int clinux_tls_send_aes_128_gcm(
    int fd, const unsigned char *key, const unsigned char *vector, const unsigned char *number) {
  CLINUX_TLS_SET(tls12_crypto_info_aes_gcm_128, TLS_CIPHER_AES_GCM_128);
}
static inline int clinux_tls_send_aes_256_gcm(
    int fd, const unsigned char *key, const unsigned char *vector, const unsigned char *number) {
  CLINUX_TLS_SET(tls12_crypto_info_aes_gcm_256, TLS_CIPHER_AES_GCM_256);
}
static inline int clinux_tls_send_chacha20_poly1305(
    int fd, const unsigned char *key, const unsigned char *vector, const unsigned char *number) {
  CLINUX_TLS_SET(tls12_crypto_info_chacha20_poly1305, TLS_CIPHER_CHACHA20_POLY1305);
}

// An alert (RFC 8446 §6) on a connection whose records the kernel makes: 21 is its content type.
static inline ssize_t clinux_tls_send_alert(int fd, unsigned char level, unsigned char description) {
  unsigned char alert[2] = {level, description};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(1)];
  } control = {0};
  struct iovec vector = {alert, sizeof alert};
  struct msghdr message = {0};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  control.header.cmsg_level = 282;
  control.header.cmsg_type = TLS_SET_RECORD_TYPE;
  control.header.cmsg_len = CMSG_LEN(1);
  *CMSG_DATA(&control.header) = 21;
  return sendmsg(fd, &message, 0x4000);
}
