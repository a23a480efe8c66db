// The certificate store that Chromium on Linux reads: an NSS database in the home folder. Each test browser has a home of its own.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';

import { run } from './run.js';

/** Makes a home folder with an empty certificate store that trusts the CA certificates of a PEM file. */
export function makeHome(caPem) {
  const home = mkdtempSync(join(tmpdir(), 'tegata-home-'));
  const db = database(home);
  mkdirSync(join(home, '.pki', 'nssdb'), { recursive: true });
  run('certutil', ['-N', '--empty-password', '-d', db]);
  splitPem(readFileSync(caPem, 'utf8')).forEach((pem, index) => {
    const file = join(home, `ca${index}.pem`);
    writeFileSync(file, pem);
    run('certutil', ['-A', '-d', db, '-n', `tegata-e2e-ca-${index}`, '-t', 'CT,,', '-i', file]);
  });
  return home;
}

/** Imports a .p12 as a person's double click would, also while a browser is using the store. */
export function importP12(home, file, password) {
  run('pk12util', ['-i', file, '-d', database(home), '-W', password, '-K', '']);
}

/** The serials of all certificates in the store that have their private key there, upper-case hex. */
export function serialsInStore(home) {
  const names = run('certutil', ['-L', '-d', database(home)])
    .split('\n')
    .map((line) => /^(.*\S)\s+u,u,u$/.exec(line)?.[1])
    .filter(Boolean);
  const pems = [...new Set(names)].map((name) => run('certutil', ['-L', '-d', database(home), '-n', name, '-a']));
  return pems.flatMap((text) => splitPem(text)).map((pem) => new X509Certificate(pem).serialNumber);
}

/** The certificates of a PEM text, one string each. */
export function splitPem(text) {
  return text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n?/g) ?? [];
}

function database(home) {
  return `sql:${join(home, '.pki', 'nssdb')}`;
}
