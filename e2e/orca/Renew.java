// Renews as monsiaj does: HttpsURLConnection under a context pinned to TLS 1.2, no redirects followed, 200 and 302 both taken for success,
// the file saved unread. Then does what monsiaj leaves to its next start: opens the file and connects with it.
//
//   java Renew.java ORIGIN CA_PEM P12 PASSWORD FOLDER
import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Collections;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

public class Renew {
  public static void main(String[] args) throws Exception {
    String origin = args[0];
    Path ca = Path.of(args[1]);
    Path folder = Path.of(args[4]);
    SSLSocketFactory old = factory(ca, open(Path.of(args[2]), args[3]), args[3]);

    HttpsURLConnection first = connection(old, origin + "/api/cert", "POST");
    first.getOutputStream().write("{}".getBytes(StandardCharsets.UTF_8));
    check(first.getResponseCode() == 200 || first.getResponseCode() == 302, "POST: " + first.getResponseCode());
    String json = new String(first.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    String uri = member(json, "uri");
    String pass = member(json, "pass");

    HttpsURLConnection second = connection(old, uri, "GET");
    check(second.getResponseCode() == 200 || second.getResponseCode() == 302, "GET: " + second.getResponseCode());
    Path file = folder.resolve("new.p12");
    try (InputStream in = second.getInputStream()) {
      Files.write(file, in.readAllBytes());
    }
    Files.writeString(folder.resolve("new.pass"), pass);
    check(Files.size(file) == second.getContentLengthLong(), "the whole file has the length that was announced");

    KeyStore store = open(file, pass);
    check(Collections.list(store.aliases()).size() == 1, "one alias");
    String alias = store.aliases().nextElement();
    check(store.isKeyEntry(alias) && store.getKey(alias, pass.toCharArray()) != null, "a private key");
    Certificate[] chain = store.getCertificateChain(alias);
    X509Certificate leaf = (X509Certificate) chain[0];
    leaf.checkValidity();
    check(chain.length >= 2, "the issuing CA is in the file");

    // The renewed certificate is accepted, and has nothing to renew.
    HttpsURLConnection third = connection(factory(ca, store, pass), origin + "/api/cert", "POST");
    third.getOutputStream().write("{}".getBytes(StandardCharsets.UTF_8));
    check(third.getResponseCode() == 409, "the renewed certificate: " + third.getResponseCode());
    // The old one goes on: both are valid at once.
    HttpsURLConnection fourth = connection(old, origin + "/api/cert", "POST");
    fourth.getOutputStream().write("{}".getBytes(StandardCharsets.UTF_8));
    check(fourth.getResponseCode() == 200, "the old certificate: " + fourth.getResponseCode());
    check(member(new String(fourth.getInputStream().readAllBytes(), StandardCharsets.UTF_8), "pass").equals(pass), "the same again");
    System.out.printf("serial %032X%n", leaf.getSerialNumber());
    System.out.printf("until %d%n", leaf.getNotAfter().getTime() / 1000);
  }

  static HttpsURLConnection connection(SSLSocketFactory factory, String url, String method) throws Exception {
    HttpsURLConnection connection = (HttpsURLConnection) new URL(url).openConnection(java.net.Proxy.NO_PROXY);
    connection.setSSLSocketFactory(factory);
    connection.setInstanceFollowRedirects(false);
    connection.setRequestProperty("Accept", "application/json");
    connection.setRequestProperty("Content-Type", "application/json");
    connection.setRequestMethod(method);
    connection.setDoOutput(method.equals("POST"));
    return connection;
  }

  static KeyStore open(Path file, String pass) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    try (FileInputStream in = new FileInputStream(file.toFile())) {
      store.load(in, pass.toCharArray());
    }
    return store;
  }

  static SSLSocketFactory factory(Path ca, KeyStore keys, String pass) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    try (FileInputStream in = new FileInputStream(ca.toFile())) {
      int n = 0;
      for (Certificate certificate : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        trusted.setCertificateEntry("ca" + n++, certificate);
      }
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    KeyManagerFactory own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    own.init(keys, pass.toCharArray());
    SSLContext context = SSLContext.getInstance("TLSv1.2");
    context.init(own.getKeyManagers(), trust.getTrustManagers(), null);
    return context.getSocketFactory();
  }

  /** A string member of a flat JSON object. */
  static String member(String json, String name) {
    Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"\\\\]*)\"").matcher(json);
    check(found.find(), "no " + name);
    return found.group(1);
  }

  static void check(boolean holds, String what) {
    if (!holds) {
      System.err.println("FAILED: " + what);
      System.exit(1);
    }
  }
}
