// A terminal whose certificate has expired comes back: a colleague makes a code at another terminal, it is typed on the page that the locked-out
// browser shows, and the new certificate is imported and used. Also by a file that is carried over, and with the help desk's code.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { readP12, startDemo } from '../lib/demo.js';
import { judge, noFaults } from '../lib/quality.js';
import { until } from '../lib/run.js';
import { importPassword, login, onPage, presentedSerial } from '../lib/steps.js';

const LANGUAGES = ['ja', 'en'];
let demo;
let admin;
let expired;

before(async () => {
  demo = await startDemo();
  expired = demo.terminal('expired');
  admin = await openBrowser(demo, [demo.terminal('fresh')]);
  await login(admin.page, demo, demo.json.users.find((user) => user.role === 'customer-admin'));
});
after(async () => {
  await admin?.close();
  await demo?.stop();
});

const names = () => [...demo.json.terminals.map((terminal) => terminal.name), ...demo.madeNames];

/** Opens the page of a terminal from the list and asks for help for it. */
async function ask(page, name, way) {
  await page.goto(`${demo.url}/admin/terminals?lang=ja`);
  await onPage(page, 'admin-terminals');
  await page.click(`table a:text-is("${name}")`);
  await onPage(page, 'admin-terminal');
  await page.fill('#reason', '期限切れ');
  await page.locator(`label:has(#way-${way})`).click();
  await page.click('#help-button');
}

/** Saves the file and reads the password, from the page that offers both. */
async function fetchBoth(page) {
  const folder = mkdtempSync(join(tmpdir(), 'tegata-recovery-'));
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('#download-link')]);
  const path = join(folder, file.suggestedFilename());
  await file.saveAs(path);
  await page.click('#reveal-button');
  await page.waitForSelector('#import-password');
  const password = await importPassword(page);
  return { path, password, ...readP12(path, password) };
}

test('the list shows which terminal is locked out, and the pages are for everybody to read', async () => {
  const { page } = admin;
  const faults = [];
  for (const lang of LANGUAGES) {
    await page.goto(`${demo.url}/admin/terminals?lang=${lang}`);
    await onPage(page, 'admin-terminals');
    faults.push(...(await judge(page, 'admin-terminals', lang, names())));
    assert.match(await page.locator('tbody tr').first().innerText(), new RegExp(expired.name), 'what needs help is on top');
    await page.click(`table a:text-is("${expired.name}")`);
    await onPage(page, 'admin-terminal');
    faults.push(...(await judge(page, 'admin-terminal', lang, names())));
    await page.goto(`${demo.url}/admin/terminals/4?lang=${lang}`);
    assert.equal(await page.locator('#help-button').count(), 0, 'a revoked terminal is not helped here');
    faults.push(...(await judge(page, 'admin-terminal-revoked', lang, names())));
  }
  noFaults(faults);
});

test('expired, landing page, a code from a colleague, and the new certificate is in use', async () => {
  const locked = await openBrowser(demo, [expired]);
  const faults = [];
  try {
    const { page } = locked;
    await page.goto(demo.url);
    await onPage(page, 'landing');
    assert.equal(await page.locator('body').getAttribute('data-reason'), 'none', 'the browser hides expired certificates');

    await ask(admin.page, expired.name, 'code');
    await admin.page.waitForSelector('#recovery-code');
    faults.push(...(await judge(admin.page, 'admin-code', 'ja', names())));
    const number = (await admin.page.locator('#recovery-number').innerText()).trim();
    const code = (await admin.page.locator('#recovery-code').innerText()).trim();
    assert.match(code, /^\d{4}\s\d{4}$/);

    locked.expect(/403/);
    await page.fill('#number', number);
    await page.fill('#code', code.startsWith('0') ? '1111 1111' : '0000 0000');
    await page.click('#recovery-button');
    await page.waitForSelector('#recovery-error');
    faults.push(...(await judge(page, 'recovery-wrong', 'ja', names())));
    await page.fill('#code', code);
    await page.click('#recovery-button');
    await page.waitForSelector('#download-link');
    for (const lang of LANGUAGES) {
      await page.goto(`${demo.url}/recovery?lang=${lang}`);
      faults.push(...(await judge(page, 'recovery-save', lang, names())));
    }
    await page.goto(`${demo.url}/recovery?lang=ja`);
    const bundle = await fetchBoth(page);
    faults.push(...(await judge(page, 'recovery-password', 'ja', names())));

    locked.importP12(bundle.path, bundle.password);
    await page.click('#check-link');
    await onPage(page, 'check');
    assert.equal(await presentedSerial(page), bundle.serial);
    await login(page, { ...demo, url: demo.alias, user: () => demo.user() });
    await page.goto(`${demo.url}/recovery`);
    await page.waitForSelector('#code'); // its first use has ended the help
  } finally {
    await locked.close();
  }
  noFaults(faults);
});

test('the file is fetched at another terminal, where it is not for; a page says so', async () => {
  const { page } = admin;
  await ask(page, '受付1', 'here');
  await page.waitForSelector('#download-link');
  assert.match(await page.locator('body').innerText(), /この端末には取り込まないでください/);
  const faults = await judge(page, 'admin-fetch', 'ja', names());
  const bundle = await fetchBoth(page);
  assert.match(bundle.path, /client001\.p12$/);
  faults.push(...(await judge(page, 'admin-fetch-password', 'ja', names())));
  const carried = await openBrowser(demo, [{ p12: bundle.path, password: bundle.password }]);
  try {
    await carried.page.goto(`${demo.url}/check`);
    await onPage(carried.page, 'check');
    assert.equal(await presentedSerial(carried.page), bundle.serial);
  } finally {
    await carried.close();
  }
  noFaults(faults);
});

test('a terminal that is lost is cut off from another one, within a second, and has no way back here', async () => {
  const terminal = demo.newTerminal(new Date(Date.now() + 400 * 86_400_000));
  const lost = await openBrowser(demo, [terminal]);
  const { page } = admin;
  try {
    await login(lost.page, demo);
    await page.goto(`${demo.url}/admin/terminals/${Number(terminal.client.replace('client', ''))}?lang=ja`);
    const faults = await judge(page, 'admin-terminal-living', 'ja', names());
    await page.fill('#name', '往診用');
    await page.click('#name-button');
    await onPage(page, 'admin-terminal');
    assert.match(await page.locator('body').innerText(), /往診用/);
    await page.locator('label:has(#end-lost)').click();
    await page.fill('#end-reason', '車上荒らし');
    await page.check('#sure');
    await page.click('#end-button');
    await onPage(page, 'admin-terminal');
    assert.match(await page.locator('#condition').innerText(), /失効/);
    assert.equal(await page.locator('#help-button').count(), 0);
    lost.expect(/403/);
    await until('the lost terminal is cut off', async () => {
      await lost.page.goto(`${demo.url}/menu`);
      return (await lost.page.locator('body').getAttribute('data-reason')) === 'revoked';
    });
    noFaults(faults);
  } finally {
    await lost.close();
  }
});

test('where nobody can connect any more, the help desk makes the code; it works without JavaScript', async () => {
  const terminal = demo.newTerminal(new Date(Date.now() + 3_600_000));
  const made = JSON.parse(demo.cli('--json', 'terminal', 'recover', `${terminal.customer}/${terminal.client}`, '--reason', 'called, called back'));
  const browser = await openBrowser(demo, [], { javaScript: false });
  try {
    const { page } = browser;
    await page.goto(made.url);
    await onPage(page, 'recovery');
    await page.fill('#number', made.number);
    await page.fill('#code', made.code);
    await page.click('#recovery-button');
    const bundle = await fetchBoth(page);
    browser.importP12(bundle.path, bundle.password);
    await page.click('#check-link');
    await onPage(page, 'check');
    assert.equal(await presentedSerial(page), bundle.serial);
  } finally {
    await browser.close();
  }
});
