// A Chromium as a clinic has it: a home of its own with a certificate store, a managed policy that chooses the certificate (without it a
// headless Chromium waits for ever in an invisible chooser), and a list of everything that went wrong on its pages.
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

import { importP12, makeHome, serialsInStore } from './nss.js';

const WRAPPER = join(dirname(fileURLToPath(import.meta.url)), 'chromium.sh');
const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** What a browser looks like when a test asks for nothing special. */
const DESKTOP = { width: 1280, height: 800 };

/**
 * Opens a browser over a store that holds the certificates of these terminals (`{ p12, password }`).
 * The certificate is chosen by Chromium itself, by policy: the tests' own, or the file that `policy` holds. `anyServer` accepts any server certificate, for servers under another clock.
 */
export async function openBrowser(demo, terminals = [], { javaScript = true, viewport = DESKTOP, anyServer = false, policy } = {}) {
  const home = makeHome(demo.caPem);
  for (const terminal of terminals) importP12(home, terminal.p12, terminal.password);
  writePolicy(home, demo.issuerName, policy);
  const browser = new Browser(home, demo, { javaScript, viewport, anyServer });
  await browser.launch();
  return browser;
}

class Browser {
  constructor(home, demo, options) {
    this.home = home;
    this.demo = demo;
    this.options = options;
    this.problems = [];
    this.expected = [];
    demo.browsers.add(this);
  }

  async launch() {
    this.context = await chromium.launchPersistentContext(join(this.home, 'profile'), {
      executablePath: WRAPPER,
      ignoreDefaultArgs: ['--headless'],
      args: this.options.anyServer ? [...FLAGS, '--ignore-certificate-errors'] : FLAGS,
      env: { ...process.env, HOME: this.home, TEGATA_E2E_ETC: join(this.home, 'etc'), LANG: 'ja_JP.UTF-8', LANGUAGE: 'ja' },
      viewport: this.options.viewport,
      javaScriptEnabled: this.options.javaScript,
      locale: 'ja-JP',
      timezoneId: 'Asia/Tokyo',
      reducedMotion: 'reduce',
      timeout: 60_000,
    });
    this.context.setDefaultTimeout(15_000);
    watch(this.context, this);
    this.page = this.context.pages()[0] ?? (await this.context.newPage());
  }

  /** Another tab of the same browser. */
  newTab() {
    return this.context.newPage();
  }

  /** Imports a .p12 into the store while the browser runs. */
  importP12(file, password) {
    importP12(this.home, file, password);
  }

  /** The serials of the certificates it could present. */
  serials() {
    return serialsInStore(this.home);
  }

  /** Says which error messages on pages are part of a test (a regular expression). */
  expect(pattern) {
    this.expected.push(pattern);
  }

  /** Ends the browser and starts it anew on the same home, as on the next morning: it chooses its certificate afresh. */
  async relaunch() {
    await this.context.close();
    await this.launch();
  }

  /** Ends the browser; fails when a page had an error, a violation of its security policy or a failed request. */
  async close() {
    this.demo.browsers.delete(this);
    await this.context.close();
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    const left = this.problems.filter((problem) => !this.expected.some((pattern) => pattern.test(problem)));
    if (left.length) throw new Error(`errors on pages:\n${[...new Set(left)].join('\n')}`);
  }
}

/**
 * A browser whose certificate is sent by Playwright's own proxy: it sends expired and foreign ones too, which no real browser does.
 * Only for what a page looks like, never for which certificate is chosen.
 */
export async function openPlainBrowser(demo, terminal, { viewport = DESKTOP } = {}) {
  const home = makeHome(demo.caPem);
  writePolicy(home, demo.issuerName);
  const env = { ...process.env, HOME: home, TEGATA_E2E_ETC: join(home, 'etc') };
  const process_ = await chromium.launch({ executablePath: WRAPPER, ignoreDefaultArgs: ['--headless'], args: FLAGS, env });
  const clientCertificates = [demo.url, ...demo.json.alias_urls].map((origin) => ({
    origin,
    certPath: terminal.cert,
    keyPath: terminal.key,
  }));
  const context = await process_.newContext({
    clientCertificates,
    ignoreHTTPSErrors: true,
    viewport,
    locale: 'ja-JP',
    timezoneId: 'Asia/Tokyo',
    reducedMotion: 'reduce',
  });
  const browser = new Browser(home, demo, { viewport });
  browser.context = { close: () => process_.close() };
  watch(context, browser);
  browser.page = await context.newPage();
  return browser;
}

function writePolicy(home, issuerName, ours) {
  const managed = join(home, 'etc', 'policies', 'managed');
  mkdirSync(managed, { recursive: true });
  const filter = { ISSUER: { CN: issuerName } };
  const rules = ['https://localhost', 'https://[*.]localhost', 'https://127.0.0.1'];
  if (ours) writeFileSync(join(managed, 'clinic.json'), ours);
  const choice = ours ? {} : { AutoSelectCertificateForUrls: rules.map((pattern) => JSON.stringify({ pattern, filter })) };
  const policy = {
    ...choice,
    DefaultBrowserSettingEnabled: false,
    PasswordManagerEnabled: false,
    SafeBrowsingProtectionLevel: 0,
    TranslateEnabled: false,
  };
  writeFileSync(join(managed, 'tegata.json'), JSON.stringify(policy));
  const preferences = '/etc/chromium/master_preferences';
  if (existsSync(preferences)) copyFileSync(preferences, join(home, 'etc', 'master_preferences'));
}

/** Collects what a person with the developer tools open would see in red. */
function watch(context, browser) {
  const note = (text) => browser.problems.push(text);
  const pages = (page) => {
    page.on('console', (message) => {
      if (message.type() !== 'error') return;
      const where = message.location().url;
      // A page that answers 401 or 403 on purpose is reported by Chromium as a resource that failed to load.
      if (/^Failed to load resource: .* status of (401|403|429) /.test(message.text()) && !/\/assets\//.test(where)) return;
      note(`console: ${message.text()} (${where})`);
    });
    page.on('pageerror', (error) => note(`script: ${error.message} (${page.url()})`));
    page.on('requestfailed', (request) => {
      const reason = request.failure()?.errorText ?? '';
      // A download and a navigation replaced by the next one are reported as aborted.
      if (reason !== 'net::ERR_ABORTED') note(`request: ${reason} (${request.url()})`);
    });
    page.on('response', (response) => {
      if (response.status() >= 500) note(`answer: ${response.status()} (${response.url()})`);
      if (response.status() === 404) note(`answer: 404 (${response.url()})`);
    });
  };
  context.pages().forEach(pages);
  context.on('page', pages);
}
