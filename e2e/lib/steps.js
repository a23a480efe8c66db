// What a person does on the pages, in the words of the renewal guide. Each step waits for what the person would see next.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';

import { plainSerial, readP12 } from './demo.js';

/** The name of the page that is shown (`data-page`). */
export async function pageName(page) {
  return page.locator('body').getAttribute('data-page');
}

/** Waits until a page of this name is shown, and says which one is when it is not. */
export async function onPage(page, name) {
  try {
    await page.waitForSelector(`body[data-page="${name}"]`, { timeout: 15_000 });
  } catch {
    const shown = await pageName(page).catch(() => 'nothing of ours');
    const text = await page.locator('body').innerText().catch(() => '');
    assert.fail(`expected the page "${name}", but "${shown}" is shown at ${page.url()}:\n${text.slice(0, 600)}`);
  }
}

/** Opens the login page and logs in, unless a session lives already; ends on the master menu. */
export async function login(page, demo, user = demo.user()) {
  await page.goto(`${demo.url}/login`);
  if ((await pageName(page)) === 'menu') return;
  await onPage(page, 'login');
  await fillLogin(page, user);
  await onPage(page, 'menu');
}

/** Fills the login form and sends it, whatever follows. */
export async function fillLogin(page, user) {
  await page.fill('input[name="user"]', user.name);
  await page.fill('input[name="password"]', user.password);
  await page.click('#login-button');
}

/** Logs out and back to the login page. */
export async function logout(page, demo) {
  if ((await pageName(page)) !== 'menu') await page.goto(`${demo.url}/menu`);
  await closeDialog(page);
  await page.click('#logout-button');
  await onPage(page, 'login');
}

/** Whether the dialog 証明書更新チェック is open. */
export async function dialogOpen(page) {
  return page.locator('#renewal-dialog').isVisible();
}

/** あとで, when the dialog is in the way. */
export async function closeDialog(page) {
  if (!(await dialogOpen(page))) return;
  await page.click('#later-button');
  await onPage(page, 'menu');
}

/** 更新 in the dialog; ends on the save screen. */
export async function renew(page) {
  await page.click('#renew-button');
  await onPage(page, 'save');
}

/** こちら: downloads the .p12 and returns its path and suggested name. */
export async function download(page, format) {
  if (format) await page.locator(`#format-${format}`).click();
  const folder = mkdtempSync(join(tmpdir(), 'tegata-download-'));
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('#download-link')]);
  const name = file.suggestedFilename();
  const path = join(folder, name);
  await file.saveAs(path);
  return { path, name };
}

/** 確認する: reveals the import password and returns it. Works from the save or the password screen. */
export async function reveal(page, demo) {
  if ((await pageName(page)) !== 'password') await page.goto(`${demo.url}/renewal/password`);
  await onPage(page, 'password');
  await page.click('#reveal-button');
  await page.waitForSelector('#import-password');
  return importPassword(page);
}

/** The password as it is shown. */
export async function importPassword(page) {
  return (await page.locator('#import-password').textContent()).trim();
}

/** The whole renewal: download and password; opens the file and returns its serial as well. */
export async function fetchBundle(page, demo, format) {
  if ((await pageName(page)) !== 'save') await page.goto(`${demo.url}/renewal`);
  await onPage(page, 'save');
  const file = await download(page, format);
  const password = await reveal(page, demo);
  return { ...file, password, p12: file.path, ...readP12(file.path, password) };
}

/** The serial that the page says was presented. */
export async function presentedSerial(page) {
  return plainSerial(await page.locator('#presented-serial').innerText());
}

/** Chooses a language for the pages that follow. */
export async function speak(page, demo, lang) {
  await page.goto(`${demo.url}/check?lang=${lang}`);
}
