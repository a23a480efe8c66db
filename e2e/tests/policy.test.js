// The administrator of a clinic fetches the policy file for Linux. With it in place, Chromium asks nobody which certificate to use, and of two that
// match it takes the new one; without it, it waits in its chooser.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { startDemo } from '../lib/demo.js';
import { judge, noFaults } from '../lib/quality.js';
import { fetchBundle, login, onPage, presentedSerial, renew } from '../lib/steps.js';

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

/** Saves one of the files that the page offers. */
async function save(id) {
  const [file] = await Promise.all([admin.page.waitForEvent('download'), admin.page.click(id)]);
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

test('the page is for everybody to read, and its files are what their systems take', async () => {
  const faults = [];
  for (const lang of ['en', 'ja']) {
    await admin.page.goto(`${demo.url}/admin/terminals?lang=${lang}`);
    await admin.page.click('#nav-policy');
    await onPage(admin.page, 'admin-policy');
    faults.push(...(await judge(admin.page, 'admin-policy', lang, demo.json.terminals.map((terminal) => terminal.name))));
  }
  noFaults(faults);
  const registry = await save('#policy-reg');
  assert.equal(registry.name, 'tegata-browser.reg');
  assert.match(registry.bytes.toString('utf16le'), /^\ufeffWindows Registry Editor Version 5\.00\r\n/);
  assert.match((await save('#policy-reg-remove')).bytes.toString('utf16le'), /"7301"=-\r\n/);
  assert.match((await save('#policy-macos')).bytes.toString(), /<key>AutoSelectCertificateForUrls<\/key>/);
  assert.equal(JSON.parse((await save('#policy-intune')).bytes.toString()).omaSettings.length, 2);
});

test('with the file there is no chooser, and the new certificate is taken after a renewal', async () => {
  await admin.page.goto(`${demo.url}/admin/browser-policy`);
  const policy = (await save('#policy-linux')).bytes;
  const browser = await openBrowser(demo, [demo.terminal('due')], { policy });
  try {
    await login(browser.page, demo);
    await renew(browser.page);
    const bundle = await fetchBundle(browser.page, demo);
    browser.importP12(bundle.p12, bundle.password);
    await browser.relaunch();
    for (const origin of [demo.url, demo.alias]) {
      await browser.page.goto(`${origin}/check`);
      await onPage(browser.page, 'check');
      assert.equal(await presentedSerial(browser.page), bundle.serial, origin);
    }
    assert.equal(browser.serials().length, 2, 'it had two to choose from');
  } finally {
    await browser.close();
  }
});

test('without a rule for this address the chooser waits', async () => {
  const policy = JSON.stringify({ AutoSelectCertificateForUrls: [] });
  const browser = await openBrowser(demo, [demo.terminal('fresh')], { policy });
  try {
    await assert.rejects(browser.page.goto(`${demo.url}/check`, { timeout: 6_000 }), /Timeout/);
  } finally {
    await browser.close();
  }
});
