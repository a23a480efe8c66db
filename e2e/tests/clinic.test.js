// What the clinic's administrator has: the list with places and orders, and the sheet of proof that the owner prints.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { startDemo } from '../lib/demo.js';
import { ARTIFACTS, judge, noFaults } from '../lib/quality.js';
import { login, onPage } from '../lib/steps.js';

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
