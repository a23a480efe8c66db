// A throw-away deployment made by `tegata demo`: on a free loopback port, in a folder of its own, under a clock of its own.
// The server is always stopped by its own pid.
import { spawn } from 'node:child_process';
import { appendFileSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { X509Certificate } from 'node:crypto';

import { run, until } from './run.js';
import { splitPem } from './nss.js';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The program under test. */
export const TEGATA = process.env.TEGATA_BIN ?? join(ROOT, 'target', 'debug', 'tegata');

const DAY = 86_400_000;
const JST = 9 * 3_600_000;

/** Starts a deployment. With `clock: true` its server runs under a clock that `setClock` moves. */
export async function startDemo({ clock = false } = {}) {
  if (!existsSync(TEGATA)) throw new Error(`${TEGATA} is missing: cargo build (or set TEGATA_BIN)`);
  const demo = new Demo(mkdtempSync(join(tmpdir(), 'tegata-demo-')), await freePort(), clock);
  await demo.start(['demo', '--dir', demo.dir, '--listen', `127.0.0.1:${demo.port}`]);
  return demo;
}

class Demo {
  constructor(folder, port, clock) {
    this.folder = folder;
    this.dir = join(folder, 'demo');
    this.port = port;
    this.clockFile = clock ? join(folder, 'clock') : null;
    if (this.clockFile) writeFileSync(this.clockFile, '+0\n');
    this.logFile = join(folder, 'server.log');
    this.browsers = new Set();
    this.madeNames = [];
    process.once('exit', () => this.server?.kill('SIGKILL'));
  }

  /** Starts the server with the given arguments and waits until it answers. */
  async start(args) {
    const marker = join(this.dir, 'demo.json');
    const log = openSync(this.logFile, 'a');
    appendFileSync(this.logFile, `--- ${TEGATA} ${args.join(' ')}\n`);
    this.server = spawn(TEGATA, args, { env: this.serverEnv(), stdio: ['ignore', log, log], cwd: this.folder });
    closeSync(log);
    const server = this.server;
    this.stopped = new Promise((done) => server.once('exit', (code, signal) => done({ code, signal })));
    const ready = until('the server is ready', async () => {
      if (server.exitCode !== null) throw new Error(`it ended with ${server.exitCode}`);
      if (!existsSync(marker)) return false;
      this.json = JSON.parse(readFileSync(marker, 'utf8'));
      return (await this.fetch('/readyz')).status === 200;
    }, 90);
    const died = this.stopped.then(({ code, signal }) => Promise.reject(new Error(`the server ended: ${code ?? signal}`)));
    died.catch(() => {});
    try {
      await Promise.race([ready, died]);
    } catch (error) {
      await this.kill('SIGKILL');
      throw new Error(`${error.message}\n${this.log().slice(-4000)}`);
    }
  }

  serverEnv() {
    const env = { ...this.operatorEnv(), RUST_BACKTRACE: '1' };
    if (!this.clockFile) return env;
    return {
      ...env,
      LD_PRELOAD: faketimeLibrary(),
      FAKETIME_TIMESTAMP_FILE: this.clockFile,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }

  /** The whole log of the server. */
  log() {
    return readFileSync(this.logFile, 'utf8');
  }

  /** The address people type. */
  get url() {
    return this.json.url;
  }

  /** Another name of the same server, for which a browser chooses a certificate anew. */
  get alias() {
    return this.json.alias_urls[0];
  }

  /** The file of the CA certificates. */
  get caPem() {
    return join(this.dir, this.json.ca_pem);
  }

  /** The CN of the CA that issued the terminals' certificates. */
  get issuerName() {
    const pem = readFileSync(this.terminal('due').cert, 'utf8');
    return /^CN=(.*)$/m.exec(new X509Certificate(pem).issuer)[1];
  }

  /** The customer that most tests are about: the one that has a due terminal. */
  get customer() {
    return this.json.terminals.find((terminal) => terminal.state === 'due').customer;
  }

  /** A terminal of the demo by state, with absolute paths. */
  terminal(state, customer) {
    const found = this.json.terminals.find((t) => t.state === state && (!customer || t.customer === customer));
    if (!found) throw new Error(`demo.json has no terminal with the state ${state}${customer ? ` of ${customer}` : ''}`);
    return {
      ...found,
      p12: join(this.dir, found.p12),
      password: found.p12_password,
      cert: join(this.dir, found.cert_pem),
      key: join(this.dir, found.key_pem),
      serial: plainSerial(found.serial),
      notAfter: new Date(found.not_after),
    };
  }

  /** The person who logs in at a customer's terminals. */
  user(customer = this.customer) {
    const found = this.json.users.find((user) => user.customer === customer);
    if (!found) throw new Error(`demo.json has no user of ${customer}`);
    return found;
  }

  /** A user of any other customer than this one. */
  strangerTo(customer = this.customer) {
    const found = this.json.users.find((user) => user.customer !== customer);
    if (!found) throw new Error('demo.json has users of one customer only');
    return found;
  }

  /** Moves the server's clock, and only the server's, to an instant; it goes on running from there. `null` puts it right. */
  async setClock(date) {
    const offset = date ? Math.round((date.getTime() - Date.now()) / 1000) : 0;
    writeFileSync(this.clockFile, `${offset < 0 ? '' : '+'}${offset}\n`);
    await until('the server answers under its new clock', async () => (await this.fetch('/readyz')).status === 200);
  }

  /** One request without a browser, for a page. `cert` and `key` are PEM files; nothing is followed. */
  fetch(path, { cert, key, origin = this.url, method = 'GET', headers = {} } = {}) {
    const url = new URL(path, origin);
    return new Promise((done, fail) => {
      const options = {
        host: '127.0.0.1',
        port: url.port,
        path: url.pathname + url.search,
        method,
        servername: url.hostname,
        headers: { host: url.host, accept: 'text/html', ...headers },
        ca: splitPem(readFileSync(this.caPem, 'utf8')),
        rejectUnauthorized: !this.clockFile, // under another clock the server's own certificate may not be valid here
        cert: cert && readFileSync(cert),
        key: key && readFileSync(key),
        agent: false,
        timeout: 10_000,
      };
      const sent = request(options, (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () => done({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks).toString() }));
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer within 10 s')));
      sent.on('error', fail);
      sent.end();
    });
  }

  /** Runs a command of the operator on this deployment and returns its output. */
  cli(...args) {
    return run(TEGATA, ['--config', this.config, ...args], { env: this.operatorEnv(), cwd: this.folder });
  }

  /** The same, parsed from `--json`. */
  cliJson(...args) {
    return JSON.parse(this.cli('--json', ...args));
  }

  operatorEnv() {
    return { ...process.env, TZ: 'UTC', TEGATA_PASSPHRASE_FILE: join(this.dir, 'passphrase.txt') };
  }

  /** The configuration file. */
  get config() {
    return join(this.dir, 'tegata.toml');
  }

  /**
   * Makes a terminal of its own for a test, with a certificate that ends at `notAfter`: the operator's commands
   * `terminal add` and `cert issue`. Returns the same shape as `terminal`.
   */
  newTerminal(notAfter, { customer = this.customer, name = 'テスト端末' } = {}) {
    const number = 101 + this.madeNames.length;
    const client = `client${String(number).padStart(4, '0')}`;
    this.madeNames.push(`${name}${number}`);
    const terminal = `${customer}/${client}`;
    this.cli('terminal', 'add', '--customer', customer, '--client', client, '--name', `${name}${number}`);
    const end = notAfter.toISOString().replace(/\.\d+Z$/, 'Z');
    const where = ['--out', join(this.folder, client), '--key', 'p256'];
    const issued = this.cliJson('cert', 'issue', terminal, '--not-after', end, ...where);
    const p12 = resolve(this.folder, issued.p12);
    const password = readFileSync(resolve(this.folder, issued.password_file), 'utf8').trim();
    return { ...readP12(p12, password, this.folder), name: `${name}${number}`, customer, client, p12, password, notAfter };
  }

  /** Ends the server at once with a signal and waits until it is gone. */
  async kill(signal) {
    if (!this.server || this.server.exitCode !== null || this.server.signalCode !== null) return;
    this.server.kill(signal);
    await this.stopped;
  }

  /** Starts the server anew on the same folder, as after a crash or an update. */
  async restart() {
    await this.kill('SIGTERM');
    await this.start(['serve', '--config', this.config]);
  }

  /** Stops the server, closes the browsers that a failed test left open, and removes the folder (kept with TEGATA_E2E_KEEP=1). */
  async stop() {
    for (const browser of [...this.browsers]) await browser.close().catch(() => {});
    const server = this.server;
    server?.kill('SIGTERM');
    const late = setTimeout(() => server?.kill('SIGKILL'), 15_000);
    await this.stopped;
    clearTimeout(late);
    if (process.env.TEGATA_E2E_KEEP) console.error(`kept: ${this.folder}`);
    else rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Opens a .p12 with OpenSSL and writes certificate and key as PEM files beside it. */
export function readP12(file, password, folder = dirname(file)) {
  const base = join(folder, `${file.split('/').pop()}-${Math.random().toString(36).slice(2, 8)}`);
  const env = { ...process.env, P12_PASSWORD: password };
  const args = ['pkcs12', '-in', file, '-passin', 'env:P12_PASSWORD', '-nodes'];
  const leaf = run('openssl', [...args, '-clcerts', '-nokeys'], { env });
  const key = run('openssl', [...args, '-nocerts'], { env });
  const pem = splitPem(leaf)[0];
  writeFileSync(`${base}.crt`, pem);
  writeFileSync(`${base}.key`, key.slice(key.indexOf('-----BEGIN')));
  const certificate = new X509Certificate(pem);
  return { cert: `${base}.crt`, key: `${base}.key`, serial: plainSerial(certificate.serialNumber), ends: new Date(certificate.validTo) };
}

/** A serial as upper-case hex without separators. */
export function plainSerial(text) {
  return text.replace(/[^0-9A-Fa-f]/g, '').toUpperCase();
}

/** The last second of the day that lies `days` calendar days of Japan after `from`. */
export function endOfJstDay(days, from = new Date()) {
  const midnight = Math.floor((from.getTime() + JST) / DAY) * DAY - JST;
  return new Date(midnight + (days + 1) * DAY - 1000);
}

/** Waits out the last minutes of a day in Japan, so that a test that counts days does not run across midnight. */
export async function avoidJstMidnight(minutes = 5) {
  const left = endOfJstDay(0).getTime() - Date.now();
  if (left < minutes * 60_000) await new Promise((done) => setTimeout(done, left + 3000));
}

function faketimeLibrary() {
  const candidates = readdirSync('/usr/lib').map((arch) => `/usr/lib/${arch}/faketime/libfaketimeMT.so.1`);
  const found = candidates.find((file) => existsSync(file));
  if (!found) throw new Error('libfaketime is missing: apt-get install faketime');
  return found;
}

function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', fail);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}
