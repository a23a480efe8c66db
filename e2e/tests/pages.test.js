// Every page, in both languages: axe, narrow windows, no errors, and a picture for people to look at.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser, openPlainBrowser } from '../lib/browser.js';
import { endOfJstDay, startDemo } from '../lib/demo.js';
import { judge, noFaults } from '../lib/quality.js';
import { run } from '../lib/run.js';
import { closeDialog, fetchBundle, fillLogin, login, onPage, renew, speak } from '../lib/steps.js';

const LANGUAGES = ['ja', 'en'];
let demo;

before(async () => {
  demo = await startDemo();
});
after(async () => {
  await demo?.stop();
});

test('login, 操作ログ and the certificate check, before login', async () => {
  const browser = await openBrowser(demo, [demo.terminal('fresh')]);
  const faults = [];
  try {
    for (const lang of LANGUAGES) {
      for (const [path, name] of [['/login', 'login'], ['/log', 'log'], ['/check', 'check']]) {
        await browser.page.goto(`${demo.url}${path}?lang=${lang}`);
        await onPage(browser.page, name);
        faults.push(...(await judge(browser.page, name === 'log' ? 'log-before-login' : name, lang, names())));
      }
      await browser.page.goto(`${demo.url}/login?lang=${lang}`);
      await fillLogin(browser.page, { name: 'nobody', password: 'wrong' });
      await onPage(browser.page, 'login');
      faults.push(...(await judge(browser.page, 'login-refused', lang, names())));
    }
  } finally {
    await browser.close();
  }
  noFaults(faults);
});

test('the master menu of a fresh terminal', async () => {
  const browser = await openBrowser(demo, [demo.terminal('fresh')]);
  const faults = [];
  try {
    await login(browser.page, demo);
    for (const lang of LANGUAGES) {
      await browser.page.goto(`${demo.url}/menu?lang=${lang}`);
      faults.push(...(await judge(browser.page, 'menu-fresh', lang, names())));
    }
  } finally {
    await browser.close();
  }
  noFaults(faults);
});

test('the whole renewal: dialog, save screen, password, import, 操作ログ, old certificate shown again', async () => {
  const terminal = demo.newTerminal(endOfJstDay(60), { name: '診察室' });
  const browser = await openBrowser(demo, [terminal]);
  const { page } = browser;
  const faults = [];
  const each = async (name, path, prepare = async () => {}) => {
    for (const lang of LANGUAGES) {
      await page.goto(`${demo.url}${path}?lang=${lang}`);
      await prepare();
      faults.push(...(await judge(page, name, lang, names())));
    }
  };
  try {
    await login(page, demo);
    await each('menu-dialog', '/menu');
    await closeDialog(page);
    await each('menu-later', '/menu');
    await page.context().clearCookies();
    const again = demo.newTerminal(endOfJstDay(3));
    const second = await openBrowser(demo, [again]);
    try {
      await login(second.page, demo);
      await renew(second.page);
      const pages = async (name, path, prepare = async () => {}) => {
        for (const lang of LANGUAGES) {
          await second.page.goto(`${demo.url}${path}?lang=${lang}`);
          await prepare();
          faults.push(...(await judge(second.page, name, lang, names())));
        }
      };
      await pages('save', '/renewal');
      await pages('password', '/renewal/password');
      await pages('password-revealed', '/renewal/password', async () => {
        await second.page.click('#reveal-button');
        await second.page.waitForSelector('#import-password');
      });
      await pages('import', '/renewal/import');
      await pages('menu-bundle-waiting', '/menu');
      const bundle = await fetchBundle(second.page, demo);
      assert.equal((await demo.fetch('/check', bundle)).status, 200, 'the new certificate is used');
      await pages('check-old', '/check');
      await pages('menu-old-again', '/menu');
      await pages('log', '/log');
    } finally {
      await second.close();
    }
  } finally {
    await browser.close();
  }
  noFaults(faults);
});

test('the landing pages: none and revoked as a browser meets them, expired and foreign as sent by force', async () => {
  const faults = [];
  const look = async (browser, reason) => {
    try {
      for (const lang of LANGUAGES) {
        await browser.page.goto(`${demo.url}/login?lang=${lang}`);
        await onPage(browser.page, 'landing');
        assert.equal(await browser.page.locator('body').getAttribute('data-reason'), reason);
        faults.push(...(await judge(browser.page, `landing-${reason}`, lang, names())));
      }
    } finally {
      await browser.close();
    }
  };
  await look(await openBrowser(demo, []), 'none');
  await look(await openBrowser(demo, [demo.terminal('revoked')]), 'revoked');
  await look(await openPlainBrowser(demo, demo.terminal('expired')), 'expired');
  await look(await openPlainBrowser(demo, foreign()), 'foreign');

  const browser = await openBrowser(demo, [demo.terminal('due')]);
  try {
    for (const lang of LANGUAGES) {
      await browser.page.goto(`${demo.url}/login?lang=${lang}`);
      await fillLogin(browser.page, demo.strangerTo());
      await onPage(browser.page, 'landing');
      faults.push(...(await judge(browser.page, 'landing-wrong-customer', lang, names())));
    }
  } finally {
    await browser.close();
  }
  noFaults(faults);
});

test('the button for the other language stays on the page and is remembered', async () => {
  const browser = await openBrowser(demo, [demo.terminal('fresh')]);
  const { page } = browser;
  try {
    await page.goto(`${demo.url}/check`);
    assert.equal(await page.locator('html').getAttribute('lang'), 'ja', 'Japanese first');
    await page.click('#lang-switch');
    await onPage(page, 'check');
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    await page.goto(`${demo.url}/login`);
    assert.equal(await page.locator('html').getAttribute('lang'), 'en', 'remembered');
    await page.click('#lang-switch');
    assert.equal(await page.locator('html').getAttribute('lang'), 'ja');
    await speak(page, demo, 'en');
    await page.goto(`${demo.url}/login`);
    assert.equal(await page.locator('html').getAttribute('lang'), 'en', '?lang=en is remembered too');
  } finally {
    await browser.close();
  }
});

test('every page carries the security headers, and secrets are never stored by the browser', async () => {
  const terminal = demo.terminal('due');
  for (const path of ['/login', '/check', '/log']) {
    const { headers } = await demo.fetch(path, terminal);
    const policy = headers['content-security-policy'] ?? '';
    assert.match(policy, /default-src 'none'|default-src 'self'/, `${path}: ${policy}`);
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/, path);
    assert.match(policy, /frame-ancestors 'none'/, path);
    assert.match(headers['strict-transport-security'] ?? '', /max-age=\d{7,}/, path);
    assert.equal(headers['x-content-type-options'], 'nosniff', path);
    assert.ok(headers['referrer-policy'], path);
    assert.match(headers['cache-control'] ?? '', /no-store/, path);
    assert.equal(headers.server, undefined, path);
  }
});

test('at 200 % zoom nothing scrolls sideways', async () => {
  const browser = await openBrowser(demo, [demo.terminal('due')], { viewport: { width: 640, height: 400 } });
  try {
    await login(browser.page, demo);
    const width = await browser.page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 640, `${width} px in a window of 640 px`);
  } finally {
    await browser.close();
  }
});

/** The names of all terminals: they are Japanese on an English page too. */
function names() {
  return [...demo.json.terminals.map((terminal) => terminal.name), ...demo.madeNames];
}

function foreign() {
  const folder = mkdtempSync(join(tmpdir(), 'tegata-foreign-'));
  const [cert, key] = [join(folder, 'leaf.crt'), join(folder, 'leaf.key')];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run('openssl', ['req', '-x509', ...ec, '-keyout', key, '-out', cert, '-days', '30', '-subj', '/CN=JP_u00000001_client0001']);
  return { cert, key };
}
