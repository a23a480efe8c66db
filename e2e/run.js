// Runs the browser tests, one file after the other (two cores are not enough for two browsers and two servers), and ends with a plain line.
// Usage: node run.js [tests/FILE...]
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from 'node:test';
import { spec as Spec } from 'node:test/reporters';

const here = dirname(fileURLToPath(import.meta.url));
const all = readdirSync(join(here, 'tests')).filter((name) => name.endsWith('.test.js')).sort();
const chosen = process.argv.slice(2);
const files = chosen.length ? chosen.map((file) => resolve(file)) : all.map((name) => join(here, 'tests', name));

// Everything that the tests write goes into one folder, which is removed at the end.
const folder = mkdtempSync(join(tmpdir(), 'tegata-e2e-'));
process.env.TMPDIR = folder;
process.once('exit', () => process.env.TEGATA_E2E_KEEP || rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));

const counts = { tests: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0 };
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());
const stream = run({ files, concurrency: 1, timeout: 15 * 60_000, signal: stop.signal });
// The last diagnostics of the run are its totals, such as "pass 12".
stream.on('test:diagnostic', ({ message }) => {
  const [, what, number] = /^(\w+) (\d+)$/.exec(message) ?? [];
  if (what in counts) counts[what] = Number(number);
});
stream.on('end', () => {
  const failed = counts.fail + counts.cancelled + counts.skipped + counts.todo;
  const nothing = counts.pass === 0 && failed === 0;
  process.on('exit', () => process.stdout.write(`\n${counts.pass} passed, ${nothing ? 1 : failed} failed\n`));
  process.exitCode = failed > 0 || nothing ? 1 : 0;
});
stream.compose(new Spec()).pipe(process.stdout);
