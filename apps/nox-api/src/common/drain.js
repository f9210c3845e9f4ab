import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// connections that the kernel queued before the signal are still accepted for this long
const ACCEPT_MS = 100;
const SWEEP_MS = 50;

/** Stop accepting, let requests in flight finish, resolve when the last connection is gone. */
export function closeServer(server) {
  return new Promise((resolve) => {
    if (!server.listening) {
      resolve();
      return;
    }
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    server.close(() => {
      clearInterval(sweep);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/**
 * Leave beside the sockets, when the process ends, how many WebSockets of its drain ended with which
 * close code: whoever stopped the process reads it there.
 *
 * @param {() => Record<string, number>|undefined} ends counts by close code; nothing where no drain was asked for
 */
export function leaveCounts(ends, log, environment = process.env) {
  process.on('exit', () => {
    const websockets = ends();
    if (!websockets || !environment.SOCKET_DIRECTORY) return;
    try {
      writeFileSync(join(environment.SOCKET_DIRECTORY, 'drained.json'), JSON.stringify({ websockets }));
    } catch (error) {
      log.warn('the counts of the drain cannot be written', { error });
    }
  });
}

/**
 * End the process well on SIGTERM or SIGINT.
 *
 * `steps` are `{name, run}` records: all `drain` steps run side by side, then the `release` steps one
 * after another. When `seconds` have passed the process ends anyway. Exit status 0 in both cases:
 * a drain is asked for, and what it had to cut is in the log.
 *
 * @returns {{isDraining: () => boolean, drain: (reason: string) => Promise<void>}}
 */
export function createDrain({ log, seconds, exit = (status) => process.exit(status) }) {
  const steps = { drain: [], release: [] };
  let running;

  async function runStep({ name, run }) {
    try {
      await run();
    } catch (error) {
      log.error('drain step failed', { step: name, error });
    }
  }

  async function walk(reason) {
    const started = Date.now();
    log.info('draining', { reason, deadline_seconds: seconds });
    const deadline = setTimeout(() => {
      log.warn('drain deadline passed; what is left is cut', { seconds });
      exit(0);
    }, seconds * 1000);
    await sleep(ACCEPT_MS);
    await Promise.all(steps.drain.map(runStep));
    for (const step of steps.release) await runStep(step);
    clearTimeout(deadline);
    log.info('drained', { duration_ms: Date.now() - started });
    exit(0);
  }

  function drain(reason) {
    running ??= walk(reason);
    return running;
  }

  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => drain(signal));
  return {
    isDraining: () => running !== undefined,
    drain,
    onDrain: (name, run) => steps.drain.push({ name, run }),
    onRelease: (name, run) => steps.release.push({ name, run }),
  };
}
