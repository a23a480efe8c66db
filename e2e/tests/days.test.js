// When 証明書更新チェック opens: days are counted by the calendar of Japan, from 90 down to 0. Chromium keeps the real time; only the
// server's clock is moved, so the browser must not judge the server's own certificate, which keeps pace with that clock.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { avoidJstMidnight, endOfJstDay, startDemo } from '../lib/demo.js';
import { until } from '../lib/run.js';
import { dialogOpen, login, onPage } from '../lib/steps.js';

const SECOND = 1000;
let demo;

before(async () => {
  demo = await startDemo({ clock: true });
});
after(async () => {
  await demo?.stop();
});

/** Logs in at a terminal and returns what the menu says. */
async function menuOf(terminal, { at } = {}) {
  if (at) await demo.setClock(at);
  const browser = await openBrowser(demo, [terminal], { anyServer: true });
  try {
    await login(browser.page, demo);
    const days = Number((await browser.page.locator('#days-left').first().innerText()).replace(/\D/g, ''));
    return { days, dialog: await dialogOpen(browser.page) };
  } finally {
    await browser.close();
    if (at) await demo.setClock(null);
  }
}

for (const [days, dialog] of [[91, false], [90, true], [89, true], [1, true], [0, true]]) {
  test(`with ${days} days left the dialog is ${dialog ? 'open' : 'not there'}`, async () => {
    await avoidJstMidnight();
    const terminal = demo.newTerminal(endOfJstDay(days));
    assert.deepEqual(await menuOf(terminal), { days, dialog });
  });
}

test('one day after the end the terminal is told that its certificate has expired', async () => {
  await avoidJstMidnight();
  const terminal = demo.newTerminal(endOfJstDay(1));
  await demo.setClock(new Date(terminal.notAfter.getTime() + 86_400 * SECOND));
  const browser = await openBrowser(demo, [terminal], { anyServer: true });
  try {
    await browser.page.goto(`${demo.url}/login`);
    await onPage(browser.page, 'landing');
    assert.equal(await browser.page.locator('body').getAttribute('data-reason'), 'expired');
  } finally {
    await browser.close();
    await demo.setClock(null);
  }
});

test('the last second is valid and the next is not', async () => {
  const terminal = demo.newTerminal(endOfJstDay(10));
  const status = async () => (await demo.fetch('/login', terminal)).status;
  await demo.setClock(new Date(terminal.notAfter.getTime() - 20 * SECOND));
  assert.equal(await status(), 200);
  await demo.setClock(new Date(terminal.notAfter.getTime() + 2 * SECOND));
  assert.equal(await status(), 403);
  await demo.setClock(null);
});

test('the window opens at midnight of Japan, not of Greenwich', async () => {
  const terminal = demo.newTerminal(endOfJstDay(120));
  const opens = new Date(endOfJstDay(120 - 91).getTime() + SECOND);
  assert.equal(opens.toISOString().slice(11, 19), '15:00:00', 'midnight of Japan');
  const before = await menuOf(terminal, { at: new Date(opens.getTime() - 120 * SECOND) });
  assert.deepEqual(before, { days: 91, dialog: false });
  const after = await menuOf(terminal, { at: new Date(opens.getTime() + 5 * SECOND) });
  assert.deepEqual(after, { days: 90, dialog: true });
});

test('29 February counts as a day', async () => {
  const leap = nextLeapDay();
  // 90 days before 29 February and before the 1 March of a leap year; in a common year the latter would be one day less.
  const terminal = demo.newTerminal(new Date(`${leap}-03-01T05:00:00Z`));
  const noon = (day) => new Date(`${day}T03:00:00Z`);
  assert.deepEqual(await menuOf(terminal, { at: noon(`${leap}-02-29`) }), { days: 1, dialog: true });
  assert.deepEqual(await menuOf(terminal, { at: noon(`${leap}-02-28`) }), { days: 2, dialog: true });
  assert.deepEqual(await menuOf(terminal, { at: noon(`${leap - 1}-12-02`) }), { days: 90, dialog: true });
  assert.deepEqual(await menuOf(terminal, { at: noon(`${leap - 1}-12-01`) }), { days: 91, dialog: false });
});

test('あとで sends the dialog away for today, leaves a banner, and the dialog is back tomorrow', async () => {
  await avoidJstMidnight();
  const terminal = demo.newTerminal(endOfJstDay(60));
  const browser = await openBrowser(demo, [terminal], { anyServer: true });
  try {
    const { page } = browser;
    await login(page, demo);
    assert.equal(await dialogOpen(page), true);
    await page.click('#later-button');
    await onPage(page, 'menu');
    assert.equal(await dialogOpen(page), false, 'gone');
    assert.match(await page.locator('body').innerText(), /更新/, 'a way to renew stays on the page');
    await newLogin(page);
    assert.equal(await dialogOpen(page), false, 'gone for the whole day, at the next login too');
    await demo.setClock(new Date(endOfJstDay(0).getTime() + 3600 * SECOND));
    await newLogin(page);
    assert.equal(await dialogOpen(page), true, 'back on the next day');
  } finally {
    await browser.close();
    await demo.setClock(null);
  }
});

test('in the last seven days あとで holds only until the next login', async () => {
  await avoidJstMidnight();
  for (const [days, back] of [[8, false], [7, true], [0, true]]) {
    const terminal = demo.newTerminal(endOfJstDay(days));
    const browser = await openBrowser(demo, [terminal], { anyServer: true });
    try {
      const { page } = browser;
      await login(page, demo);
      await page.click('#later-button');
      await onPage(page, 'menu');
      assert.equal(await dialogOpen(page), false, `${days} days: gone in this session`);
      await page.reload();
      assert.equal(await dialogOpen(page), false, `${days} days: work is not blocked`);
      await newLogin(page);
      assert.equal(await dialogOpen(page), back, `${days} days: at the next login`);
    } finally {
      await browser.close();
    }
  }
});

async function newLogin(page) {
  await page.context().clearCookies();
  await until('the login page', async () => {
    await page.goto(`${demo.url}/login`);
    return (await page.locator('body').getAttribute('data-page')) === 'login';
  });
  await login(page, demo);
}

function nextLeapDay() {
  let year = new Date().getUTCFullYear() + 1;
  while (new Date(Date.UTC(year, 1, 29)).getUTCMonth() !== 1) year += 1;
  return year;
}
