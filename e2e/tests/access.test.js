// The walk without JavaScript, and the walk without a mouse.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { endOfJstDay, readP12, startDemo } from '../lib/demo.js';
import { dialogOpen, login, onPage, presentedSerial, renew, reveal } from '../lib/steps.js';

let demo;

before(async () => {
  demo = await startDemo();
});
after(async () => {
  await demo?.stop();
});

test('the whole walk works without JavaScript', async () => {
  const terminal = demo.newTerminal(endOfJstDay(60));
  const browser = await openBrowser(demo, [terminal], { javaScript: false });
  try {
    const { page } = browser;
    await page.goto(`${demo.url}/login?lang=en`);
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    await page.click('#lang-switch');
    await onPage(page, 'login');
    assert.equal(await page.locator('html').getAttribute('lang'), 'ja');
    await login(page, demo);
    assert.equal(await dialogOpen(page), true);
    await renew(page);
    for (const format of ['standard', 'compat']) {
      await page.goto(`${demo.url}/renewal`);
      const file = await downloadByForm(page, format);
      const password = await reveal(page, demo);
      const bundle = readP12(file.path, password);
      if (format === 'compat') {
        browser.importP12(file.path, password);
        await page.goto(`${demo.alias}/check`);
        assert.equal(await presentedSerial(page), bundle.serial);
      }
    }
    await page.goto(`${demo.url}/renewal/import`);
    await onPage(page, 'import');
    await page.goto(`${demo.url}/log`);
    await onPage(page, 'log');
  } finally {
    await browser.close();
  }
});

/** Without JavaScript the format is chosen by sending a form. */
async function downloadByForm(page, format) {
  await page.locator(`#format-${format}`).check();
  const button = page.locator('form[action="/renewal/bundle.p12"] button');
  const [file] = await Promise.all([page.waitForEvent('download'), button.click()]);
  const path = join(mkdtempSync(join(tmpdir(), 'tegata-download-')), file.suggestedFilename());
  await file.saveAs(path);
  return { path };
}

test('the whole walk works with the keyboard alone, and the focus can always be seen', async () => {
  const terminal = demo.newTerminal(endOfJstDay(60));
  const browser = await openBrowser(demo, [terminal]);
  try {
    const { page } = browser;
    await page.goto(`${demo.url}/login`);
    await onPage(page, 'login');
    await tabTo(page, 'input[name="user"]');
    await page.keyboard.type(demo.user().name);
    await tabTo(page, 'input[name="password"]');
    await page.keyboard.type(demo.user().password);
    await page.keyboard.press('Enter');
    await onPage(page, 'menu');
    await tabTo(page, '#renew-button');
    await page.keyboard.press('Enter');
    await onPage(page, 'save');
    await tabTo(page, '#download-link');
    const [file] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
    assert.match(file.suggestedFilename(), /\.p12$/);
    await tabTo(page, 'a[href*="/renewal/password"]');
    await page.keyboard.press('Enter');
    await onPage(page, 'password');
    await tabTo(page, '#reveal-button');
    await page.keyboard.press('Space');
    await page.waitForSelector('#import-password');
  } finally {
    await browser.close();
  }
});

/** Presses Tab until the focus is on the element, which must then be visibly focused. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 60; presses += 1) {
    const found = await page.evaluate((wanted) => {
      const focused = document.activeElement;
      if (!focused?.matches(wanted)) return null;
      const style = getComputedStyle(focused);
      return { seen: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none' };
    }, selector);
    if (found) {
      assert.ok(found.seen, `the focus on ${selector} can be seen`);
      return;
    }
    await page.keyboard.press('Tab');
  }
  assert.fail(`60 presses of Tab do not reach ${selector}`);
}
