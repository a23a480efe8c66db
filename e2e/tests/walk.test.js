// The seed's whole walk, from the login page to the new certificate, in a browser that chooses its certificate itself.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { startDemo } from '../lib/demo.js';
import { picture } from '../lib/quality.js';
import { attempt, until } from '../lib/run.js';
import { dialogOpen, download, fetchBundle, login, logout, onPage, pageName, presentedSerial, renew, reveal } from '../lib/steps.js';

let demo;
let browser;
let old;
let bundle;

before(async () => {
  demo = await startDemo();
  old = demo.terminal('due');
  browser = await openBrowser(demo, [old]);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

test('the login page names the terminal and speaks Japanese', async () => {
  const { page } = browser;
  await page.goto(demo.url);
  await onPage(page, 'login');
  const text = await page.locator('body').innerText();
  for (const word of ['ユーザー', 'パスワード', 'ログイン', '操作ログ', old.name]) assert.ok(text.includes(word), word);
  assert.equal((await page.locator('#terminal-name').innerText()).trim(), old.name);
});

test('the master menu of a due terminal opens 証明書更新チェック with 更新 and あとで', async () => {
  const { page } = browser;
  await login(page, demo);
  const text = await page.locator('body').innerText();
  for (const word of ['マスターメニュー', '証明書更新チェック']) assert.ok(text.includes(word), word);
  assert.equal(await dialogOpen(page), true);
  assert.match(await page.locator('#renew-button').innerText(), /更新/);
  assert.match(await page.locator('#later-button').innerText(), /あとで/);
  await picture(page, 'walk-1-dialog');
});

test('更新 leads to the save screen, whose こちら downloads a file named after customer, user and terminal', async () => {
  const { page } = browser;
  await renew(page);
  assert.match(await page.locator('body').innerText(), /証明書保存/);
  assert.match(await page.locator('#download-link').innerText(), /こちら/);
  const { name, path } = await download(page);
  assert.match(name, new RegExp(`^\\d{6}_JP_${old.customer}_client\\d{3,4}\\.p12$`));
  bundle = { name, path };
});

test('確認する reveals a password of four groups, and exactly this password opens the file', async () => {
  const { page } = browser;
  bundle.password = await reveal(page, demo);
  assert.match(bundle.password, /^[a-z0-9]{5}-[a-z0-9]{5}-[a-z0-9]{5}-[a-z0-9]{5}$/);
  const open = (password) => {
    const env = { ...process.env, P12_PASSWORD: password };
    return attempt('openssl', ['pkcs12', '-in', bundle.path, '-passin', 'env:P12_PASSWORD', '-nodes', '-noout'], { env }).status;
  };
  assert.equal(open(bundle.password), 0);
  for (const wrong of [`${bundle.password} `, bundle.password.slice(0, -1), bundle.password.replace(/-/g, ''), '']) {
    assert.notEqual(open(wrong), 0, JSON.stringify(wrong));
  }
  await picture(page, 'walk-2-password');
});

test('コピー puts exactly the password into the clipboard', async () => {
  const { page, context } = browser;
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.click('#copy-button');
  await until('the page says that it was copied', async () => (await page.locator('#copy-status').innerText()) !== '');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), bundle.password);
});

test('the password comes as a text file too, alone at the end of its line', async () => {
  const { page } = browser;
  const button = page.locator('form[action*="/renewal/password.txt"] button').first();
  const [file] = await Promise.all([page.waitForEvent('download'), button.click()]);
  assert.match(file.suggestedFilename(), /\.txt$/);
  const stream = await file.createReadStream();
  let text = '';
  for await (const chunk of stream) text += chunk;
  const line = text.split('\r\n').find((one) => one.startsWith('パスワード'));
  assert.equal(line?.split(' ').at(-1), bundle.password);
});

test('after the import the alias host shows the new certificate while the first host goes on with the old one', async () => {
  const { page } = browser;
  bundle = await fetchBundle(page, demo);
  browser.importP12(bundle.p12, bundle.password);
  const tab = await browser.newTab();
  await tab.goto(`${demo.alias}/check`);
  await onPage(tab, 'check');
  assert.equal(await presentedSerial(tab), bundle.serial);
  await picture(tab, 'walk-3-check-new');
  await page.goto(`${demo.url}/check`);
  assert.equal(await presentedSerial(page), old.serial);
  await page.goto(`${demo.url}/menu`);
  await onPage(page, 'menu');
  assert.equal(await pageName(page), 'menu', 'the session lives on');
});

test('the new certificate begins with its last day as serial and lives three years and the unused days', async () => {
  const day = new Date(bundle.ends.getTime() + 9 * 3_600_000);
  assert.equal(bundle.serial.slice(0, 8), day.toISOString().slice(0, 10).replaceAll('-', ''));
  assert.equal(bundle.serial.length, 32);
  assert.equal(day.toISOString().slice(11, 16), '14:00', 'it ends at 14:00 in Japan');
  assert.ok(![0, 6].includes(day.getUTCDay()), 'on a weekday');
  assert.ok(day.getUTCDate() > 10, 'not on day 1 to 10');
  const years = (bundle.ends - old.notAfter) / (365.25 * 86_400_000);
  assert.ok(years > 2.9 && years < 3.2, `three years after the old end, not ${years}`);
});

test('a browser started anew presents the new certificate and shows no dialog', async () => {
  await browser.relaunch();
  const { page } = browser;
  await page.goto(`${demo.url}/check`);
  assert.equal(await presentedSerial(page), bundle.serial);
  await login(page, demo);
  assert.equal(await dialogOpen(page), false);
});

test('the old certificate shown again after the new one was used gets in, and a kind word', async () => {
  const other = await openBrowser(demo, [old]);
  const { page } = other;
  await page.goto(`${demo.url}/check`);
  assert.equal(await presentedSerial(page), old.serial);
  await login(page, demo);
  await until('the menu says kindly that this is the old one', async () => {
    await page.goto(`${demo.url}/menu`);
    return /更新前の証明書/.test(await page.locator('body').innerText());
  });
  const text = await page.locator('body').innerText();
  assert.match(text, /どちらを選んでも問題ありません/, 'and that either may be chosen');
  assert.equal(await dialogOpen(page), false);
  await picture(page, 'walk-4-old-again');
  await other.close();
});

test('the session survives the change from the old to the new certificate, not a move to another terminal', async () => {
  const { page, context } = browser;
  await page.goto(`${demo.url}/menu`);
  await onPage(page, 'menu');
  const cookie = (await context.cookies(demo.url)).find((c) => c.name === '__Host-tegata-session');
  assert.ok(cookie, 'there is a session cookie');
  assert.ok(cookie.secure && cookie.httpOnly, 'it is Secure and HttpOnly');
  const headers = { cookie: `${cookie.name}=${cookie.value}` };
  const menu = (terminal) => demo.fetch('/menu', { ...terminal, headers });
  assert.equal((await menu(old)).status, 200, 'the old certificate of the same terminal');
  assert.equal((await menu(bundle)).status, 200, 'the new one');
  const elsewhere = await menu(demo.terminal('fresh', old.customer));
  assert.notEqual(elsewhere.status, 200, 'another terminal of the same customer');
});

test('操作ログ tells of the renewal before and after login, and of no other terminal', async () => {
  const { page } = browser;
  await logout(page, demo);
  await page.click('#log-link');
  await onPage(page, 'log');
  const text = await page.locator('body').innerText();
  assert.ok(text.replace(/[^0-9A-Fa-f]/g, '').toUpperCase().includes(bundle.serial.slice(0, 14)), 'it names the new serial');
  const others = demo.json.terminals.filter((terminal) => terminal.serial !== old.serial);
  for (const other of others) assert.ok(!text.includes(other.serial.slice(8)), `it does not name ${other.client} of ${other.customer}`);
});
