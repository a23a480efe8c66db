// Whoever cannot come in gets a page of ours that says which of the cases it is, and what to do; never a bare browser error.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { endOfJstDay, startDemo } from '../lib/demo.js';
import { run, until } from '../lib/run.js';
import { fillLogin, login, onPage, presentedSerial } from '../lib/steps.js';

let demo;

before(async () => {
  demo = await startDemo();
});
after(async () => {
  await demo?.stop();
});

async function landsOn(terminals, reason, paths = ['/', '/login', '/menu', '/renewal', '/check', '/log']) {
  const browser = await openBrowser(demo, terminals);
  try {
    for (const path of paths) {
      const answer = await browser.page.goto(demo.url + path);
      await onPage(browser.page, 'landing');
      assert.equal(answer.status(), 403, path);
      assert.equal(await browser.page.locator('body').getAttribute('data-reason'), reason, path);
    }
    const again = await browser.page.locator('#choose-again').getAttribute('href');
    assert.ok(demo.json.alias_urls.some((alias) => again.startsWith(alias)), `証明書を選び直す leads to an alias host, not ${again}`);
    return await browser.page.locator('body').innerText();
  } finally {
    await browser.close();
  }
}

/** A certificate of a CA that is not ours. */
function foreignCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'tegata-foreign-'));
  const at = (name) => join(folder, name);
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run('openssl', ['req', '-x509', ...ec, '-keyout', at('ca.key'), '-out', at('ca.crt'), '-days', '30', '-subj', '/CN=Foreign CA']);
  run('openssl', ['req', ...ec, '-keyout', at('leaf.key'), '-out', at('leaf.csr'), '-subj', '/CN=JP_u00000001_client0001']);
  run('openssl', ['x509', '-req', '-in', at('leaf.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '20', '-out', at('leaf.crt')]);
  run('openssl', ['pkcs12', '-export', '-in', at('leaf.crt'), '-inkey', at('leaf.key'), '-passout', 'pass:foreign', '-out', at('leaf.p12')]);
  return { p12: at('leaf.p12'), password: 'foreign', cert: at('leaf.crt'), key: at('leaf.key') };
}

test('no certificate: the page helps the locked-out terminal too', async () => {
  const text = await landsOn([], 'none');
  assert.match(text, /証明書/);
});

test('an expired certificate is never sent by the browser: it lands as no certificate', async () => {
  await landsOn([demo.terminal('expired')], 'none', ['/login']);
});

test('a client that does send an expired certificate is told so, with the date', async () => {
  const terminal = demo.terminal('expired');
  const { status, body } = await demo.fetch('/login', terminal);
  assert.equal(status, 403);
  assert.match(body, /data-reason="expired"/);
  assert.match(body, /期限切れ/);
  const jst = new Date(terminal.notAfter.getTime() + 9 * 3_600_000);
  const [year, month, day] = [jst.getUTCFullYear(), jst.getUTCMonth() + 1, jst.getUTCDate()];
  const dates = [`${year}年${month}月${day}日`, `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`];
  assert.ok(dates.some((date) => body.includes(date)), `its last day, ${dates[0]}, is on the page`);
});

test('a revoked certificate lands as revoked (失効), not as expired', async () => {
  const text = await landsOn([demo.terminal('revoked')], 'revoked');
  assert.match(text, /失効/);
  assert.doesNotMatch(text, /期限切れ/);
});

test('a certificate of another CA is not offered by the browser, and lands as foreign when sent all the same', async () => {
  const foreign = foreignCertificate();
  await landsOn([foreign], 'none', ['/login']);
  const { status, body } = await demo.fetch('/login', foreign);
  assert.equal(status, 403);
  assert.match(body, /data-reason="foreign"/);
});

test('a user of another customer is refused with a page of its own, in a browser whose certificate is fine', async () => {
  const browser = await openBrowser(demo, [demo.terminal('due')]);
  try {
    await browser.page.goto(`${demo.url}/login`);
    const stranger = demo.strangerTo();
    await fillLogin(browser.page, stranger);
    await onPage(browser.page, 'landing');
    assert.equal(await browser.page.locator('body').getAttribute('data-reason'), 'wrong-customer');
    await browser.page.goto(`${demo.url}/menu`);
    await onPage(browser.page, 'login');
  } finally {
    await browser.close();
  }
});

test('証明書を選び直す makes the browser choose anew once a certificate was imported', async () => {
  const browser = await openBrowser(demo, []);
  const terminal = demo.terminal('due');
  try {
    const { page } = browser;
    await page.goto(`${demo.url}/login`);
    await onPage(page, 'landing');
    browser.importP12(terminal.p12, terminal.password);
    await page.click('#choose-again');
    await onPage(page, 'login');
    await page.goto(`${demo.alias}/check`);
    assert.equal(await presentedSerial(page), terminal.serial);
  } finally {
    await browser.close();
  }
});

test('a revocation reaches an open browser at its next request', async () => {
  const terminal = demo.newTerminal(endOfJstDay(400));
  const browser = await openBrowser(demo, [terminal]);
  try {
    const { page } = browser;
    await login(page, demo);
    demo.cli('cert', 'revoke', terminal.serial, '--reason', 'key-compromise');
    await until('the open session is cut off', async () => {
      await page.goto(`${demo.url}/menu`);
      return (await page.locator('body').getAttribute('data-reason')) === 'revoked';
    });
  } finally {
    await browser.close();
  }
});

test('a wrong password says so and does not log in; many wrong ones lock the door for a while', async () => {
  const terminal = demo.newTerminal(endOfJstDay(400));
  const browser = await openBrowser(demo, [terminal]);
  try {
    const { page } = browser;
    const wrong = { ...demo.user(), password: 'wrong' };
    const seen = [];
    await page.goto(`${demo.url}/login`);
    for (let i = 0; i < 20 && !seen.includes(429); i += 1) {
      const [answer] = await Promise.all([
        page.waitForResponse((response) => response.request().method() === 'POST'),
        fillLogin(page, wrong),
      ]);
      await page.waitForLoadState();
      seen.push(answer.status());
      if (answer.status() === 429) assert.ok(Number(answer.headers()['retry-after']) > 0, 'Retry-After');
    }
    assert.equal(seen[0], 401);
    assert.equal(seen.at(-1), 429, `statuses: ${seen}`);
    await page.goto(`${demo.url}/menu`);
    await onPage(page, 'login');
  } finally {
    await browser.close();
  }
});

test('an unknown page is a page of ours, with a way back', async () => {
  const { status, body } = await demo.fetch('/no-such-page', demo.terminal('due'));
  assert.equal(status, 404);
  assert.match(body, /<html/i);
});
