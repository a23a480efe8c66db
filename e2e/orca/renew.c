/* Renews as glclient2 does: one libcurl handle, a certificate and an encrypted key as PEM, `Transfer-Encoding: identity` among the headers of
 * both requests, the status of the second one not looked at, the answer parsed as PKCS#12 and written as PEM again. Then connects with
 * the renewed certificate, as its next start does.
 *
 *   renew ORIGIN CA_PEM P12 PASSWORD FOLDER 1.1|2 */
#include <curl/curl.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(holds, ...)           \
  do {                              \
    if (!(holds)) {                 \
      fprintf(stderr, "FAILED: ");  \
      fprintf(stderr, __VA_ARGS__); \
      fputc('\n', stderr);          \
      exit(1);                      \
    }                               \
  } while (0)

static const char *ca, *folder;
static long version;

struct answer {
  char bytes[65536];
  size_t size;
  long status;
  long version;
};

static struct answer answer;

static size_t keep(char *piece, size_t size, size_t count, void *user) {
  (void)user;
  size *= count;
  if (size >= sizeof answer.bytes - answer.size) return 0;
  memcpy(answer.bytes + answer.size, piece, size);
  answer.size += size;
  answer.bytes[answer.size] = 0;
  return size;
}

static char *path(const char *name, const char *ending) {
  char *text = malloc(1024);
  snprintf(text, 1024, "%s/%s.%s", folder, name, ending);
  return text;
}

/* FOLDER/NAME.p12 becomes NAME.crt, the certificate alone, and NAME.pem, its key under the same password. */
static X509 *decode(const char *file, const char *name, char *pass) {
  FILE *in = fopen(file, "rb");
  PKCS12 *p12 = in ? d2i_PKCS12_fp(in, NULL) : NULL;
  EVP_PKEY *key = NULL;
  X509 *leaf = NULL;
  STACK_OF(X509) *chain = NULL;
  CHECK(p12 && PKCS12_parse(p12, pass, &key, &leaf, &chain), "Error parsing PKCS#12 file %s", file);
  fclose(in);
  CHECK(key && leaf && X509_check_private_key(leaf, key) == 1, "key and certificate are a pair");
  CHECK(sk_X509_num(chain) >= 1, "the issuing CA is in the file");
  FILE *out = fopen(path(name, "crt"), "w");
  CHECK(out && PEM_write_X509_AUX(out, leaf) && fclose(out) == 0, "%s.crt", name);
  out = fopen(path(name, "pem"), "w");
  CHECK(out && PEM_write_PrivateKey(out, key, EVP_aes_256_cbc(), (unsigned char *)pass, (int)strlen(pass), NULL, NULL), "%s.pem", name);
  CHECK(fclose(out) == 0, "%s.pem", name);
  return leaf;
}

static CURL *with(const char *name, const char *pass) {
  CURL *curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, version);
  curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(curl, CURLOPT_SSLCERT, path(name, "crt"));
  curl_easy_setopt(curl, CURLOPT_SSLCERTTYPE, "PEM");
  curl_easy_setopt(curl, CURLOPT_SSLKEY, path(name, "pem"));
  curl_easy_setopt(curl, CURLOPT_SSLKEYTYPE, "PEM");
  curl_easy_setopt(curl, CURLOPT_KEYPASSWD, pass);
  curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
  return curl;
}

static void ask(CURL *curl, const char *url, int post) {
  struct curl_slist *headers = NULL;
  char why[CURL_ERROR_SIZE] = "";
  memset(&answer, 0, sizeof answer);
  headers = curl_slist_append(headers, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Accept: application/json");
  headers = curl_slist_append(headers, "Transfer-Encoding: identity");
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
  if (post) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "{}");
  } else {
    curl_easy_setopt(curl, CURLOPT_POST, 0L);
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  CURLcode code = curl_easy_perform(curl);
  CHECK(code == CURLE_OK, "%s: %s", url, why);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &answer.version);
  long expected = version == CURL_HTTP_VERSION_1_1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2_0;
  CHECK(answer.version == expected, "HTTP version %ld", answer.version);
  curl_slist_free_all(headers);
}

/* A string member of a flat JSON object. */
static char *member(const char *name) {
  char key[64];
  snprintf(key, sizeof key, "\"%s\":\"", name);
  const char *start = strstr(answer.bytes, key);
  CHECK(start, "no %s in %s", name, answer.bytes);
  start += strlen(key);
  return strndup(start, strcspn(start, "\""));
}

int main(int argc, char **argv) {
  char url[1024];
  CHECK(argc == 7, "six arguments are needed");
  ca = argv[2];
  folder = argv[5];
  version = strcmp(argv[6], "2") == 0 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
  snprintf(url, sizeof url, "%s/api/cert", argv[1]);
  curl_global_init(CURL_GLOBAL_ALL);
  decode(argv[3], "old", argv[4]);

  CURL *old = with("old", argv[4]);
  ask(old, url, 1);
  CHECK(answer.status == 200, "Failure update certificate: %ld %s", answer.status, answer.bytes);
  char *uri = member("uri"), *pass = member("pass");
  ask(old, uri, 0);
  FILE *out = fopen(path("new", "p12"), "wb");
  CHECK(out && fwrite(answer.bytes, 1, answer.size, out) == answer.size && fclose(out) == 0, "new.p12");
  X509 *leaf = decode(path("new", "p12"), "new", pass);

  ask(with("new", pass), url, 1);
  CHECK(answer.status == 409, "the renewed certificate: %ld %s", answer.status, answer.bytes);
  ask(old, url, 1);
  CHECK(answer.status == 200 && strcmp(member("pass"), pass) == 0, "the same again: %s", answer.bytes);
  printf("serial %s\n", BN_bn2hex(ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL)));
  return 0;
}
