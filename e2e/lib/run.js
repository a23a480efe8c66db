// Runs other programs. A program that is missing or fails is an error that carries what it printed; nothing is ever skipped.
import { spawnSync } from 'node:child_process';

/** Runs a program to its end and returns its output; throws with that output when it fails. */
export function run(program, args = [], options = {}) {
  const { status, output } = attempt(program, args, options);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${status}\n${output}`);
  return output;
}

/** Runs a program to its end and returns its exit status and output, whatever they are. */
export function attempt(program, args = [], { env, input, cwd } = {}) {
  const done = spawnSync(program, args, {
    encoding: 'utf8',
    env: env ?? process.env,
    input: input ?? '',
    cwd,
    timeout: 60_000,
    maxBuffer: 32 * 1024 * 1024,
  });
  if (done.error) throw new Error(`${program}: ${done.error.message}`);
  return { status: done.status ?? -1, stdout: done.stdout, output: done.stdout + done.stderr };
}

/** Asks again and again until `probe` answers something, or throws `what` after `seconds`. */
export async function until(what, probe, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  let last = '';
  while (Date.now() < end) {
    try {
      const answer = await probe();
      if (answer) return answer;
    } catch (error) {
      last = `: ${error.message}`;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not within ${seconds} s: ${what}${last}`);
}
