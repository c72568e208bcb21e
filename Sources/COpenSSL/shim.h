#pragma once
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ocsp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/tls1.h>
#include <openssl/x509.h>

// Macros with casts, which Swift does not import.
static const uint64_t copenssl_op_no_renegotiation = SSL_OP_NO_RENEGOTIATION;
static const uint64_t copenssl_op_server_preference = SSL_OP_CIPHER_SERVER_PREFERENCE;
static const uint64_t copenssl_op_prioritize_chacha = SSL_OP_PRIORITIZE_CHACHA;
static const uint64_t copenssl_op_ignore_unexpected_eof = SSL_OP_IGNORE_UNEXPECTED_EOF;

// Macros over SSL_CTX_ctrl that pass memory as a void pointer.
static inline long copenssl_ctx_add1_chain(SSL_CTX *context, X509 *certificate) {
  return SSL_CTX_add1_chain_cert(context, certificate);
}
static inline long copenssl_ctx_set_groups(SSL_CTX *context, const char *names) {
  return SSL_CTX_set1_groups_list(context, names);
}

// A macro over SSL_CTX_callback_ctrl, which takes a function of no type.
static inline long copenssl_ctx_set_status_callback(SSL_CTX *context, int (*callback)(SSL *, void *)) {
  return SSL_CTX_set_tlsext_status_cb(context, callback);
}

// A copy in OpenSSL's own memory, which the connection takes over; a macro, and a literal file name in another.
static inline long copenssl_set_ocsp_response(SSL *ssl, const void *bytes, size_t count) {
  void *copy = OPENSSL_memdup(bytes, count);
  if (copy == NULL) return 0;
  return SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)count);
}

// The parameters point into the call's own frame.
static inline int copenssl_hmac_sha256_set(EVP_MAC_CTX *context, const unsigned char *key, size_t count) {
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, count),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(context, parameters);
}
