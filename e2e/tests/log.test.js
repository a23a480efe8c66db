// The administrator of a clinic reads the operation log of the whole clinic: what the last verification found, filters, and the table for spreadsheets.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { startDemo } from '../lib/demo.js';
import { judge, noFaults } from '../lib/quality.js';
import { login, onPage } from '../lib/steps.js';

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

test('the page is for everybody to read', async () => {
  const faults = [];
  for (const lang of ['en', 'ja']) {
    await admin.page.goto(`${demo.url}/admin/terminals?lang=${lang}`);
    await admin.page.click('#nav-log');
    await onPage(admin.page, 'admin-log');
    faults.push(...(await judge(admin.page, 'admin-log', lang, demo.json.terminals.map((terminal) => terminal.name))));
  }
  noFaults(faults);
});

test('filters are kept, work without a script, and lead to the same table', async () => {
  await admin.page.goto(`${demo.url}/admin/log?lang=ja`);
  const all = await admin.page.locator('tbody tr').count();
  await admin.page.selectOption('#category', 'login');
  await admin.page.click('#filter-button');
  await onPage(admin.page, 'admin-log');
  assert.equal(await admin.page.inputValue('#category'), 'login');
  const logins = await admin.page.locator('tbody tr').count();
  assert.ok(logins > 0 && logins < all, `${logins} of ${all}`);
  const [file] = await Promise.all([admin.page.waitForEvent('download'), admin.page.click('#csv-link')]);
  const text = readFileSync(await file.path(), 'utf8');
  assert.match(text, /^\ufeff"利用者ID","利用者","日時","区分","操作","結果","端末番号","端末名","シリアル番号"/);
  assert.equal(text.trimEnd().split('\r\n').length, logins + 1);
});

test('what the service found when it verified the log stands on top', async () => {
  const deadline = Date.now() + 40_000;
  let said = '';
  while (!said.includes('書き換えや抜けがない') && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await admin.page.goto(`${demo.url}/admin/log?lang=ja`);
    said = await admin.page.innerText('#log-verdict');
  }
  assert.match(said, /書き換えや抜けがない.*電子署名/);
});
