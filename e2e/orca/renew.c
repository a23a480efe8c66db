/* Renews as glclient2 does: libcurl, the same three headers on both requests (`Transfer-Encoding: identity` among them), the status of the
 * second one not looked at, the answer parsed as PKCS#12. Then connects with the renewed certificate.
 *
 *   renew ORIGIN CA_PEM P12 PASSWORD FOLDER 1.1|2 */
#include <curl/curl.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(holds, ...)          \
  do {                             \
    if (!(holds)) {                \
      fprintf(stderr, "FAILED: "); \
      fprintf(stderr, __VA_ARGS__); \
      fputc('\n', stderr);         \
      exit(1);                     \
    }                              \
  } while (0)

static const char *ca;
static long version;

struct answer {
  char bytes[65536];
  size_t size;
  long status;
  long version;
};

static size_t keep(char *piece, size_t size, size_t count, void *user) {
  struct answer *answer = user;
  size *= count;
  if (size >= sizeof answer->bytes - answer->size) return 0;
  memcpy(answer->bytes + answer->size, piece, size);
  answer->size += size;
  answer->bytes[answer->size] = 0;
  return size;
}

static void ask(struct answer *answer, const char *url, int post, const char *p12, const char *pass) {
  CURL *curl = curl_easy_init();
  struct curl_slist *headers = NULL;
  char why[CURL_ERROR_SIZE] = "";
  memset(answer, 0, sizeof *answer);
  headers = curl_slist_append(headers, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Accept: application/json");
  headers = curl_slist_append(headers, "Transfer-Encoding: identity");
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, version);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
  curl_easy_setopt(curl, CURLOPT_SSLCERTTYPE, "P12");
  curl_easy_setopt(curl, CURLOPT_SSLCERT, p12);
  curl_easy_setopt(curl, CURLOPT_KEYPASSWD, pass);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
  if (post) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "{}");
  }
  CURLcode code = curl_easy_perform(curl);
  CHECK(code == CURLE_OK, "%s: %s", url, why);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
  curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &answer->version);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
}

/* A string member of a flat JSON object. */
static char *member(const char *json, const char *name) {
  char key[64];
  snprintf(key, sizeof key, "\"%s\":\"", name);
  const char *start = strstr(json, key);
  CHECK(start, "no %s in %s", name, json);
  start += strlen(key);
  return strndup(start, strcspn(start, "\""));
}

int main(int argc, char **argv) {
  static struct answer answer;
  char url[1024], file[1024];
  CHECK(argc == 7, "six arguments are needed");
  ca = argv[2];
  version = strcmp(argv[6], "2") == 0 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
  snprintf(url, sizeof url, "%s/api/cert", argv[1]);
  snprintf(file, sizeof file, "%s/new.p12", argv[5]);
  curl_global_init(CURL_GLOBAL_ALL);

  ask(&answer, url, 1, argv[3], argv[4]);
  CHECK(answer.status == 200, "Failure update certificate: %ld %s", answer.status, answer.bytes);
  long expected = version == CURL_HTTP_VERSION_1_1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2_0;
  CHECK(answer.version == expected, "HTTP version %ld", answer.version);
  char *uri = member(answer.bytes, "uri"), *pass = member(answer.bytes, "pass");

  ask(&answer, uri, 0, argv[3], argv[4]);
  FILE *out = fopen(file, "wb");
  CHECK(out && fwrite(answer.bytes, 1, answer.size, out) == answer.size && fclose(out) == 0, "%s", file);
  const unsigned char *at = (const unsigned char *)answer.bytes;
  PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)answer.size);
  EVP_PKEY *key = NULL;
  X509 *leaf = NULL;
  STACK_OF(X509) *chain = NULL;
  CHECK(p12 && PKCS12_parse(p12, pass, &key, &leaf, &chain), "Error parsing PKCS#12 file");
  CHECK(key && leaf && X509_check_private_key(leaf, key) == 1, "key and certificate are a pair");
  CHECK(sk_X509_num(chain) >= 1, "the issuing CA is in the file");

  ask(&answer, url, 1, file, pass);
  CHECK(answer.status == 409, "the renewed certificate: %ld %s", answer.status, answer.bytes);
  ask(&answer, url, 1, argv[3], argv[4]);
  CHECK(answer.status == 200 && strcmp(member(answer.bytes, "pass"), pass) == 0, "the same again: %s", answer.bytes);
  char *serial = BN_bn2hex(ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL));
  printf("serial %s\n", serial);
  return 0;
}
