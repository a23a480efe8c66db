// 更新 pressed twice, in two tabs, after "back", or around a crash gives the same certificate and the same password.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { endOfJstDay, readP12, startDemo } from '../lib/demo.js';
import { dialogOpen, download, fetchBundle, login, onPage, renew } from '../lib/steps.js';

let demo;

before(async () => {
  demo = await startDemo();
});
after(async () => {
  await demo?.stop();
});

/** Runs `body` in a browser of a due terminal of its own, and looks at the register afterwards. */
async function onDueTerminal(body) {
  const terminal = demo.newTerminal(endOfJstDay(60));
  const browser = await openBrowser(demo, [terminal]);
  try {
    await body(browser, terminal);
    assert.equal(certificatesOf(terminal).length, 2, 'the register knows the old and one new certificate, no third');
  } finally {
    await browser.close();
  }
}

function certificatesOf(terminal) {
  return demo.cliJson('cert', 'list', '--terminal', `${terminal.customer}/${terminal.client}`);
}

function same(first, second) {
  assert.equal(second.serial, first.serial, 'the same certificate');
  assert.equal(second.password, first.password, 'the same password');
}

test('two tabs that press 更新 at the same moment get one certificate', async () => {
  await onDueTerminal(async ({ page, context }) => {
    await login(page, demo);
    const tab = await context.newPage();
    await tab.goto(`${demo.url}/menu`);
    assert.equal(await dialogOpen(tab), true);
    await Promise.all([renew(page), renew(tab)]);
    same(await fetchBundle(page, demo), await fetchBundle(tab, demo));
  });
});

test('a double click gets one certificate', async () => {
  await onDueTerminal(async ({ page }) => {
    await login(page, demo);
    await page.dblclick('#renew-button');
    await onPage(page, 'save');
    same(await fetchBundle(page, demo), await fetchBundle(page, demo));
  });
});

test('the back button and 更新 again give the same certificate', async () => {
  await onDueTerminal(async ({ page }) => {
    await login(page, demo);
    await renew(page);
    const first = await download(page);
    await page.goBack();
    await onPage(page, 'menu');
    await renew(page);
    const second = await fetchBundle(page, demo);
    assert.equal(readP12(first.path, second.password).serial, second.serial, 'the first file is the same certificate');
  });
});

test('a new login on the next morning finds the same bundle', async () => {
  await onDueTerminal(async (browser) => {
    await login(browser.page, demo);
    await renew(browser.page);
    const first = await fetchBundle(browser.page, demo);
    await browser.relaunch();
    await browser.context.clearCookies();
    await login(browser.page, demo);
    same(first, await fetchBundle(browser.page, demo));
  });
});

test('a server killed after 更新 gives the same certificate and password when it is back', async () => {
  await onDueTerminal(async (browser) => {
    await login(browser.page, demo);
    await renew(browser.page);
    const first = await fetchBundle(browser.page, demo);
    await demo.kill('SIGKILL');
    await demo.restart();
    await browser.relaunch();
    await login(browser.page, demo);
    same(first, await fetchBundle(browser.page, demo));
  });
});

test('a server killed in the middle of 更新 leaves nothing half-done', async () => {
  await onDueTerminal(async (browser) => {
    browser.expect(/ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_HTTP2|ERR_NETWORK/);
    await login(browser.page, demo);
    await browser.page.click('#renew-button', { noWaitAfter: true });
    await new Promise((done) => setTimeout(done, 20));
    await demo.kill('SIGKILL');
    await demo.restart();
    await browser.relaunch();
    await login(browser.page, demo);
    if (await dialogOpen(browser.page)) await renew(browser.page);
    same(await fetchBundle(browser.page, demo), await fetchBundle(browser.page, demo));
  });
  demo.cli('audit', 'verify');
});
