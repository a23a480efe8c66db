// What the clinic's administrator has: the list with places and orders, the sheet of proof that the owner prints, and codes with which a new PC becomes a
// terminal, or a terminal moves to one.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { readP12, startDemo } from '../lib/demo.js';
import { ARTIFACTS, judge, noFaults } from '../lib/quality.js';
import { until } from '../lib/run.js';
import { login, onPage, presentedSerial } from '../lib/steps.js';

const LANGUAGES = ['en', 'ja'];
let demo;
let admin;

before(async () => {
  demo = await startDemo();
  admin = await openBrowser(demo, [demo.terminal('fresh')]);
  await login(admin.page, demo, demo.json.users.find((user) => user.role === 'customer-admin'));
});
after(async () => {
  await admin?.close();
  await demo?.stop();
});

const names = () => [...demo.json.terminals.map((terminal) => terminal.name), ...demo.madeNames];

test('places are noted, the list is ordered and filtered by them, and says when a terminal was here', async () => {
  const { page } = admin;
  const own = demo.terminal('fresh');
  await page.goto(`${demo.url}/admin/terminals?lang=ja`);
  await page.click(`table a:text-is("${own.name}")`);
  await onPage(page, 'admin-terminal');
  assert.match(await page.locator('#system-hint').innerText(), /「Linux」でした/);
  assert.match(await page.locator('#seen').innerText(), /\d{4}年/);
  await page.fill('#place', '診察室の窓側');
  await page.fill('#system', 'Linux');
  await page.click('#name-button');
  await onPage(page, 'admin-terminal');
  const faults = await judge(page, 'admin-terminal-noted', 'ja', names());
  for (const lang of LANGUAGES) {
    await page.goto(`${demo.url}/admin/terminals?lang=${lang}`);
    faults.push(...(await judge(page, 'admin-terminals', lang, [...names(), '診察室の窓側'])));
  }
  await page.click('thead a >> nth=1');
  assert.match(await page.locator('tbody tr').first().innerText(), /窓側/, 'what has a place comes first');
  await page.selectOption('#state', 'expired');
  await page.click('#search-button');
  assert.equal(await page.locator('tbody tr').count(), 1);
  assert.match(await page.locator('tbody tr').innerText(), new RegExp(demo.terminal('expired').name));
  noFaults(faults);
});

test('the sheet of proof fits on one page of A4 and says until when nothing stops', async () => {
  const { page } = admin;
  const faults = [];
  for (const lang of LANGUAGES) {
    await page.goto(`${demo.url}/admin/terminals?lang=${lang}`);
    await page.click('#nav-proof');
    await onPage(page, 'admin-proof');
    faults.push(...(await judge(page, 'admin-proof', lang, [...names(), '診察室の窓側'])));
  }
  assert.match(await page.locator('#promise-until').innerText(), /まで、今接続できる端末は、証明書の期限では止まりません/);
  assert.match(await page.locator('#stopped').innerText(), new RegExp(demo.terminal('expired').name));
  const pdf = (await page.pdf({ format: 'A4' })).toString('latin1');
  assert.equal(pdf.match(/\/Type \/Page\b/g)?.length, 1, 'one page');
  await page.emulateMedia({ media: 'print' });
  await page.setViewportSize({ width: 794, height: 1123 }); // A4 at 96 dots per inch
  await page.screenshot({ path: join(ARTIFACTS, 'admin-proof-paper.png') });
  await page.emulateMedia({ media: null });
  noFaults(faults);
});

test('a new terminal is added, a code is typed at its PC, and the certificate is in use there', async () => {
  const { page } = admin;
  await page.goto(`${demo.url}/admin/terminals?lang=ja`);
  await page.click('#new-link');
  await onPage(page, 'admin-new');
  const faults = await judge(page, 'admin-new', 'ja', names());
  await page.fill('#name', 'レントゲン室');
  await page.fill('#place', '地下');
  await page.click('#new-button');
  await onPage(page, 'admin-terminal');
  faults.push(...(await judge(page, 'admin-terminal-empty', 'ja', names())));
  await page.click('#invite-button');
  await page.waitForSelector('#invitation-code');
  faults.push(...(await judge(page, 'admin-invitation', 'ja', names())));
  const code = (await page.locator('#invitation-code').innerText()).trim();
  assert.match(code, /^[0-9A-Z]{4}-[0-9A-Z]{4}$/);

  const fresh = await openBrowser(demo, []);
  try {
    await fresh.page.goto(demo.url);
    await onPage(fresh.page, 'landing');
    await fresh.page.click('#enroll-link');
    await onPage(fresh.page, 'enroll');
    for (const lang of LANGUAGES) {
      await fresh.page.goto(`${demo.url}/enroll?lang=${lang}`);
      faults.push(...(await judge(fresh.page, 'enroll', lang, names())));
    }
    await fresh.page.fill('#code', code.toLowerCase().replace('-', ''));
    await fresh.page.click('#enroll-button');
    await fresh.page.waitForSelector('#download-link');
    const folder = mkdtempSync(join(tmpdir(), 'tegata-enroll-'));
    const [file] = await Promise.all([fresh.page.waitForEvent('download'), fresh.page.click('#download-link')]);
    const path = join(folder, file.suggestedFilename());
    await file.saveAs(path);
    await fresh.page.click('#reveal-button');
    await fresh.page.waitForSelector('#import-password');
    const password = (await fresh.page.locator('#import-password').textContent()).trim();
    fresh.importP12(path, password);
    await fresh.page.click('#check-link');
    await onPage(fresh.page, 'check');
    assert.equal(await presentedSerial(fresh.page), readP12(path, password).serial);
    assert.match(await fresh.page.locator('body').innerText(), /レントゲン室/);
  } finally {
    await fresh.close();
  }
  noFaults(faults);
});

test('a terminal moves: the new PC is used, the old one is cut off', async () => {
  const { page } = admin;
  const terminal = demo.newTerminal(new Date(Date.now() + 400 * 86_400_000));
  const old = await openBrowser(demo, [terminal]);
  try {
    await login(old.page, demo);
    await page.goto(`${demo.url}/admin/terminals/${Number(terminal.client.replace('client', ''))}?lang=ja`);
    const faults = await judge(page, 'admin-terminal-move', 'ja', names());
    await page.click('#invite-button');
    const code = (await page.locator('#invitation-code').innerText()).trim();
    const fresh = await openBrowser(demo, []);
    try {
      await fresh.page.goto(`${demo.url}/enroll`);
      await fresh.page.fill('#code', code);
      await fresh.page.click('#enroll-button');
      const folder = mkdtempSync(join(tmpdir(), 'tegata-move-'));
      const [file] = await Promise.all([fresh.page.waitForEvent('download'), fresh.page.click('#download-link')]);
      const path = join(folder, file.suggestedFilename());
      await file.saveAs(path);
      await fresh.page.click('#reveal-button');
      await fresh.page.waitForSelector('#import-password');
      await old.page.goto(`${demo.url}/menu`);
      await onPage(old.page, 'menu');
      fresh.importP12(path, (await fresh.page.locator('#import-password').textContent()).trim());
      await fresh.page.click('#check-link');
      await onPage(fresh.page, 'check');
    } finally {
      await fresh.close();
    }
    old.expect(/403/);
    await until('the old PC is cut off', async () => {
      await old.page.goto(`${demo.url}/menu`);
      return (await old.page.locator('body').getAttribute('data-reason')) === 'revoked';
    });
    noFaults(faults);
  } finally {
    await old.close();
  }
});
