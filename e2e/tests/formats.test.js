// The downloaded files, 標準 and 互換, open in every program of other people that a clinic may use.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.js';
import { startDemo } from '../lib/demo.js';
import { attempt, run } from '../lib/run.js';
import { fetchBundle, login, renew } from '../lib/steps.js';

let demo;
let browser;
const bundles = {};

before(async () => {
  demo = await startDemo();
  browser = await openBrowser(demo, [demo.terminal('due')]);
  await login(browser.page, demo);
  await renew(browser.page);
  for (const format of ['standard', 'compat']) bundles[format] = await fetchBundle(browser.page, demo, format);
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

test('both formats carry the same certificate and password', () => {
  assert.equal(bundles.compat.serial, bundles.standard.serial);
  assert.equal(bundles.compat.password, bundles.standard.password);
});

test('標準 is AES-256 with SHA-256 and at most 600,000 rounds, 互換 is 3DES with SHA-1', () => {
  const look = (bundle) => info(bundle).output;
  const standard = look(bundles.standard);
  assert.match(standard, /PBES2, PBKDF2, AES-256-CBC, Iteration \d+, PRF hmacWithSHA256/);
  assert.match(standard, /MAC: sha256/i);
  for (const [, rounds] of standard.matchAll(/Iteration (\d+)/gi)) assert.ok(Number(rounds) <= 600_000, `${rounds} rounds`);
  const compat = look(bundles.compat);
  assert.match(compat, /pbeWithSHA1And3-KeyTripleDES-CBC/);
  assert.match(compat, /MAC: sha1/i);
  assert.doesNotMatch(compat, /RC2/i);
});

for (const format of ['standard', 'compat']) {
  test(`OpenSSL opens ${format} without its legacy provider: one key, one leaf, the whole chain, a name with the last day`, () => {
    const { output, status } = info(bundles[format]);
    assert.equal(status, 0, output);
    assert.equal(output.match(/BEGIN [A-Z ]*PRIVATE KEY/g).length, 1, 'exactly one key');
    assert.ok(output.match(/BEGIN CERTIFICATE/g).length >= 2, 'the chain is there');
    assert.match(output, /friendlyName: /);
  });

  test(`NSS imports ${format} into an empty store`, () => {
    const bundle = bundles[format];
    const db = `sql:${mkdtempSync(join(tmpdir(), 'tegata-nss-'))}`;
    run('certutil', ['-N', '--empty-password', '-d', db]);
    run('pk12util', ['-i', bundle.p12, '-d', db, '-W', bundle.password, '-K', '']);
    assert.match(run('certutil', ['-L', '-d', db]), /u,u,u/);
    assert.equal(run('certutil', ['-K', '-d', db]).match(/^<\s*\d+>/gm).length, 1, 'one key');
  });

  test(`Java opens ${format}: one PrivateKeyEntry with its chain`, () => {
    const bundle = bundles[format];
    const args = ['-J-Duser.language=en', '-list', '-v', '-storetype', 'PKCS12', '-keystore', bundle.p12, '-storepass', bundle.password];
    const text = run('keytool', args);
    assert.match(text, /Entry type: PrivateKeyEntry/);
    assert.match(text, /Certificate chain length: [23]/);
  });

  test(`GnuTLS opens ${format}`, () => {
    const bundle = bundles[format];
    // certtool's exit status says nothing: its text is judged.
    const { output } = attempt('certtool', ['--p12-info', '--inder', '--infile', bundle.p12, '--password', bundle.password]);
    assert.match(output, /BEGIN (ENCRYPTED |RSA |EC )?PRIVATE KEY/, output.slice(0, 500));
    assert.match(output, /BEGIN CERTIFICATE/);
    assert.doesNotMatch(output, /error|failed|incorrect/i);
  });

  test(`a wrong password does not open ${format}`, () => {
    const wrong = { ...bundles[format], password: 'wrong-wrong-wrong-wrong' };
    assert.notEqual(info(wrong).status, 0);
  });
}

function info({ p12, password }) {
  const env = { ...process.env, P12_PASSWORD: password };
  return attempt('openssl', ['pkcs12', '-info', '-in', p12, '-passin', 'env:P12_PASSWORD', '-nodes'], { env });
}
