// What every page has to stand: axe, narrow windows, its language, and a picture of it for people to look at.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AxeBuilder } from '@axe-core/playwright';

/** Where the pictures go. Not in git. */
export const ARTIFACTS = resolve(dirname(fileURLToPath(import.meta.url)), '..', 'artifacts');

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const JAPANESE = /[\u3040-\u30ff\u4e00-\u9fff]/;

/**
 * Checks one page as it is shown now, in one language, and takes its pictures. Returns the list of faults, empty when there are none.
 * `names` are those of terminals: they stay Japanese on an English page.
 */
export async function judge(page, name, lang, names = []) {
  const faults = [];
  const say = (text) => faults.push(`${name} (${lang}): ${text}`);
  const before = page.viewportSize();

  const declared = await page.locator('html').getAttribute('lang');
  if (declared !== lang) say(`<html lang> is ${declared}`);
  const title = await page.title();
  if (!title) say('it has no title');
  const heading = await page.locator('h1').count();
  if (heading !== 1) say(`it has ${heading} h1 headings`);
  if (lang === 'en') await englishOnly(page, names, say);

  const { violations } = await new AxeBuilder({ page }).withTags(RULES).setLegacyMode(true).analyze();
  for (const violation of violations) {
    const where = violation.nodes.map((node) => `${node.target.join(' ')}: ${node.failureSummary.split('\n').slice(1, 3).join(' ').trim()}`);
    say(`axe ${violation.id} (${violation.help}): ${where.join(' | ')}`);
  }

  await page.setViewportSize({ width: 320, height: 640 });
  const width = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth));
  if (width > 320) say(`at 320 px it is ${width} px wide and scrolls sideways: ${await tooWide(page)}`);

  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    await picture(page, `${name}-${lang}-${size}`);
  }
  await page.setViewportSize(before);
  return faults;
}

/** Names the elements that stick out on the right. */
async function tooWide(page) {
  const found = await page.evaluate(() => {
    const wide = [...document.body.querySelectorAll('*')].filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5);
    const innermost = wide.filter((element) => ![...element.children].some((child) => wide.includes(child)));
    return innermost.map((e) => `<${e.tagName.toLowerCase()}${e.id ? ` #${e.id}` : ''} class="${e.className}"> ${e.textContent.trim().slice(0, 40)}`);
  });
  return found.slice(0, 4).join(' | ');
}

/** Takes a picture of the whole page. */
export async function picture(page, name) {
  mkdirSync(ARTIFACTS, { recursive: true });
  // The shade behind a modal dialog covers the window only, so there the window is the picture.
  const fullPage = !(await page.locator('dialog:modal').count());
  await page.screenshot({ path: join(ARTIFACTS, `${name}.png`), fullPage, animations: 'disabled', caret: 'hide' });
}

/** An English page has no Japanese left over, apart from names, tables of records, what the operator configured, and what says of itself that it is Japanese. */
async function englishOnly(page, names, say) {
  const texts = await page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const parent = node.parentElement;
      const hidden = !parent || parent.closest('script, style, template, noscript');
      const named = parent?.closest('main [lang="ja"], #lang-switch, #terminal-name, .site-footer, section[aria-labelledby="support"], td, dd');
      if (!hidden && !named) found.push(node.textContent.trim());
    }
    return found;
  });
  const nameless = (text) => names.reduce((rest, name) => rest.replaceAll(name, ''), text);
  const left = texts.map(nameless).filter((text) => JAPANESE.test(text));
  if (left.length) say(`Japanese is left over in English: ${left.slice(0, 5).join(' / ')}`);
}

/** Fails with all faults at once, so that one run shows everything. */
export function noFaults(faults) {
  assert.equal(faults.length, 0, `\n${faults.join('\n')}`);
}
