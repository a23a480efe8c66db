// The administrator of a clinic makes an API key, a program uses it beside a terminal's certificate, and it is rotated and taken back. With the
// keyboard too, in both languages.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
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

/** Asks as a program does: status and document. */
function ask(path, user, password) {
  const terminal = demo.terminal('due');
  const agent = new Agent({ ca: readFileSync(demo.caPem), cert: readFileSync(terminal.cert), key: readFileSync(terminal.key) });
  return new Promise((resolve, reject) => {
    get(demo.url + path, { agent, auth: `${user}:${password}` }, (answer) => {
      let text = '';
      answer.on('data', (part) => (text += part));
      answer.on('end', () => resolve({ status: answer.statusCode, body: JSON.parse(text) }));
    }).on('error', reject);
  });
}

/** User and password on the page. */
async function shown() {
  const texts = ['#api-key', '#api-secret'].map((id) => admin.page.locator(id).innerText());
  return Promise.all(texts);
}

test('a key is made with the keyboard, shown once, and works', async () => {
  const faults = [];
  const names = demo.json.terminals.map((terminal) => terminal.name);
  await admin.page.goto(`${demo.url}/admin/terminals?lang=ja`);
  await admin.page.click('#nav-api-keys');
  await onPage(admin.page, 'admin-api-keys');
  await admin.page.focus('#name');
  await admin.page.keyboard.type('会計連携');
  await admin.page.focus('#make-button');
  await admin.page.keyboard.press('Enter');
  const [user, password] = await shown();
  assert.match(password, /^tegata_[0-9a-z]{32}$/);
  faults.push(...(await judge(admin.page, 'admin-api-keys-made', 'ja', names)));
  const first = await ask('/api/v1/terminals', user, password);
  assert.equal(first.status, 200, JSON.stringify(first.body));
  assert.ok(first.body.items.length > 1);
  assert.equal((await ask('/api/v1/log', user, password)).body.code, 'scope-missing');
  for (const lang of ['ja', 'en']) {
    await admin.page.goto(`${demo.url}/admin/api-keys?lang=${lang}`);
    assert.ok(!(await admin.page.content()).includes(password), 'shown once');
    faults.push(...(await judge(admin.page, 'admin-api-keys', lang, [...names, '会計連携'])));
  }
  noFaults(faults);
});

test('it is rotated without a gap, and revoked at once', async () => {
  await admin.page.goto(`${demo.url}/admin/api-keys?lang=ja`);
  await admin.page.click('form[action$="/rotate"] button');
  const [user, password] = await shown();
  assert.equal((await ask('/api/v1/api-key', user, password)).status, 200);
  await admin.page.click('#noted-link');
  assert.equal(await admin.page.locator('form[action$="/revoke"] button').isVisible(), false, 'not by one press alone');
  await admin.page.click('summary');
  await admin.page.click('form[action$="/revoke"] button');
  await onPage(admin.page, 'admin-api-keys');
  assert.equal((await ask('/api/v1/api-key', user, password)).body.code, 'api-key-revoked');
  assert.equal(await admin.page.locator('form[action$="/rotate"]').count(), 0);
});
