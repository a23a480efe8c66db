// The operator's staff at the console: they find a terminal, see what its user sees, help it, revoke, and look three years ahead. A clinic's user
// is kept out.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { startDemo } from '../lib/demo.js';
import { judge, noFaults } from '../lib/quality.js';
import { until } from '../lib/run.js';
import { login, onPage } from '../lib/steps.js';

const LANGUAGES = ['ja', 'en'];
let demo;
let officer;
let clinic;

before(async () => {
  demo = await startDemo();
  const user = demo.json.users.find(({ role }) => role === 'ca-officer');
  officer = await openBrowser(demo, [demo.terminal('fresh', user.customer)]);
  await login(officer.page, demo, user);
  clinic = demo.terminal('due');
});
after(async () => {
  await officer?.close();
  await demo?.stop();
});

const names = () => [...demo.json.terminals.map(({ name }) => name), '運用センター', 'ひだまりクリニック', 'あおぞら歯科医院'];
const path = (terminal) => `/console/customers/${terminal.customer}/terminals/${Number(terminal.client.replace('client', ''))}`;

test('every page of the console, in both languages', async () => {
  const { page } = officer;
  const faults = [];
  const expired = demo.terminal('expired');
  const pages = [
    ['/console', 'console'],
    ['/console/search?q=%E5%8F%97%E4%BB%98', 'console-search'],
    ['/console/customers', 'console-customers'],
    [`/console/customers/${clinic.customer}`, 'console-customer'],
    [path(clinic), 'console-terminal', 'console-terminal-due'],
    [path(expired), 'console-terminal', 'console-terminal-expired'],
    [`${path(clinic)}/seen`, 'menu', 'console-seen-due'],
    [`${path(expired)}/seen`, 'landing', 'console-seen-expired'],
    ['/console/forecast', 'console-forecast'],
    ['/console/issuers', 'console-issuers'],
    ['/console/issuers/1', 'console-issuer'],
    [`/console/customers/${clinic.customer}/revocation`, 'console-revocation'],
  ];
  for (const lang of LANGUAGES) {
    for (const [address, name, picture = name] of pages) {
      await page.goto(`${demo.url}${address}${address.includes('?') ? '&' : '?'}lang=${lang}`);
      await onPage(page, name);
      faults.push(...(await judge(page, picture, lang, names())));
    }
  }
  noFaults(faults);
});

test('a serial as the chooser shows it leads to the terminal, and nothing in the picture of its page can be pressed', async () => {
  const { page } = officer;
  await page.goto(`${demo.url}/console?lang=ja`);
  await page.fill('#q', clinic.serial.slice(0, 14));
  await page.click('#search-button');
  await onPage(page, 'console-search');
  await page.click(`#found-certificates a:text-is("${clinic.name}")`);
  await onPage(page, 'console-terminal');
  await page.click('#seen-link');
  await onPage(page, 'menu');
  assert.equal(await page.locator('#renewal-dialog').isVisible(), true);
  assert.equal(await page.locator('#renew-button').isDisabled(), true);
  await page.click('#preview a');
  await onPage(page, 'console-terminal');
});

test('an officer makes a recovery code; a help desk sees who can make one instead', async () => {
  const expired = demo.terminal('expired');
  await officer.page.goto(`${demo.url}${path(expired)}?lang=ja`);
  await officer.page.fill('#reason', '折り返し確認済み');
  await officer.page.click('#code-button');
  await officer.page.waitForSelector('#recovery-code');
  assert.match((await officer.page.locator('#recovery-code').innerText()).replace(/\s/g, ''), /^\d{8}$/);

  const user = demo.json.users.find(({ role }) => role === 'help-desk');
  const desk = await openBrowser(demo, [demo.terminal('fresh', user.customer)]);
  try {
    await login(desk.page, demo, user);
    await desk.page.goto(`${demo.url}${path(expired)}?lang=ja`);
    await onPage(desk.page, 'console-terminal');
    const text = await desk.page.locator('main').innerText();
    assert.ok(text.includes('jimu') && text.includes('診察室'), text);
    assert.equal(await desk.page.locator('main form[method="post"]').count(), 0);
  } finally {
    await desk.close();
  }
});

test('a clinic that is revoked whole is refused at the gate within seconds, open browsers included', async () => {
  const other = demo.terminal('fresh', demo.json.users.find(({ name }) => name === 'aozora').customer);
  const browser = await openBrowser(demo, [other]);
  try {
    await browser.page.goto(`${demo.url}/login?lang=ja`);
    await onPage(browser.page, 'login');
    const { page } = officer;
    await page.goto(`${demo.url}/console/customers/${other.customer}?lang=ja`);
    await page.click('#revocation-link');
    await onPage(page, 'console-revocation');
    const count = /(\d+)枚/.exec(await page.locator('#named').innerText())[1];
    await page.selectOption('#why', 'cessation-of-operation');
    await page.fill('#because', '契約終了');
    officer.expect(/422/);
    await page.fill('#count', '4000');
    await page.click('#revoke-button');
    await page.waitForSelector('#error');
    await page.fill('#count', count);
    await page.click('#revoke-button');
    await onPage(page, 'console-customer');
    await until('the browser that is open is refused', async () => {
      await browser.page.reload();
      return (await browser.page.locator('body').getAttribute('data-reason')) === 'revoked';
    }, 5);
  } finally {
    await browser.close();
  }
});

test("a clinic's user is kept out", async () => {
  const browser = await openBrowser(demo, [clinic]);
  try {
    await login(browser.page, demo);
    const answer = await browser.page.goto(`${demo.url}/console`);
    assert.equal(answer.status(), 403);
    assert.equal(await browser.page.locator('#console-link').count(), 0);
  } finally {
    await browser.close();
  }
});
