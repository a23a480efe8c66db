// An application behind the gate, in a browser: opened from the master menu, told who is there, closed to everybody else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { startDemo } from '../lib/demo.js';
import { picture } from '../lib/quality.js';
import { closeDialog, login } from '../lib/steps.js';

let demo;
before(async () => {
  demo = await startDemo();
});
after(async () => {
  await demo?.stop();
});

test('a tile of the master menu leads to the application, which knows the clinic and the terminal', async () => {
  const terminal = demo.terminal('due');
  const browser = await openBrowser(demo, [terminal]);
  try {
    const { page } = browser;
    await login(page, demo);
    await closeDialog(page);
    await page.getByRole('link', { name: '受付一覧' }).click();
    await page.waitForURL(demo.json.app_url);
    const text = await page.locator('body').innerText();
    for (const word of ['本日の受付', 'ひだまりクリニック', terminal.serial]) assert.ok(text.includes(word), `${word}: ${text}`);
    await picture(page, 'application');
    const told = await page.evaluate(async () => (await fetch('/headers', { headers: { 'X-Tegata-User': 'forged' } })).json());
    assert.equal(told['x-tegata-serial'], terminal.serial);
    assert.equal(told['x-tegata-user'], undefined);
    assert.ok(!(told.cookie ?? '').includes('__Host-tegata-'), told.cookie);
  } finally {
    await browser.close();
  }
});

test('without a certificate the application stays closed, and the page says what to do', async () => {
  const browser = await openBrowser(demo);
  try {
    browser.expect(/403/);
    const answer = await browser.page.goto(demo.json.app_url);
    assert.equal(answer.status(), 403);
    assert.match(await browser.page.locator('h1').innerText(), /証明書が届いていません/);
  } finally {
    await browser.close();
  }
});
