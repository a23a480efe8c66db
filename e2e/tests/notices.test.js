// 連絡先とお知らせ: an administrator says who is told, sees whether mail arrives, and finds the day's reminder in the demo's mail folder.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { startDemo } from '../lib/demo.js';
import { judge, noFaults } from '../lib/quality.js';
import { until } from '../lib/run.js';
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

const mails = (to) => {
  const folder = join(demo.dir, demo.json.mail_folder);
  const all = readdirSync(folder).filter((name) => name.endsWith('.eml')).map((name) => readFileSync(join(folder, name), 'utf8'));
  return all.filter((mail) => mail.includes(`To: ${to}`));
};

test('whoever starts the demo finds the day\'s reminder with its calendar', async () => {
  await until('the reminder', () => mails('jimu@demo.example.jp').some((mail) => mail.includes('tegata.ics')));
});

test('a contact is added, hears of it, is tried and removed; the pages are for everybody to read', async () => {
  const { page } = admin;
  const faults = [];
  await page.goto(`${demo.url}/admin/notices?lang=ja`);
  await onPage(page, 'admin-notices');
  await page.fill('#name', 'サポート事業所');
  await page.fill('#address', 'support@office.example.jp');
  await page.click('#add-button');
  await page.waitForSelector('#done');
  await until('the first mail', () => mails('support@office.example.jp').length === 1);
  await until('the result on the page', async () => {
    await page.goto(`${demo.url}/admin/notices?lang=ja`);
    return (await page.locator('tbody tr', { hasText: 'support@office.example.jp' }).first().innerText()).includes('送信しました');
  });
  for (const lang of ['ja', 'en']) {
    await page.goto(`${demo.url}/admin/notices?lang=${lang}`);
    faults.push(...(await judge(page, 'admin-notices', lang, ['サポート事業所', '事務', ...demo.json.terminals.map((t) => t.name)])));
  }
  noFaults(faults);
  await page.goto(`${demo.url}/admin/notices?lang=ja`);
  const row = page.locator('tbody tr', { hasText: 'support@office.example.jp' }).first();
  await row.locator('button[value=test]').click();
  await page.waitForSelector('#done');
  await until('the test mail', () => mails('support@office.example.jp').length === 2);
  await page.locator('tbody tr', { hasText: 'support@office.example.jp' }).first().locator('button[value=remove]').click();
  await page.waitForSelector('#done');
  assert.equal(await page.locator('button[id^=remove-]').count(), 1);
});

test('the calendar is downloaded', async () => {
  const { page } = admin;
  await page.goto(`${demo.url}/admin/notices?lang=ja`);
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('#calendar-link')]);
  assert.match(file.suggestedFilename(), /^tegata-u\d{8}\.ics$/);
  assert.match(readFileSync(await file.path(), 'utf8'), /^BEGIN:VCALENDAR\r\n/);
});
