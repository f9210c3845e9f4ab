import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

const PROBE_MS = 500;

function answers(path) {
  return new Promise((resolve) => {
    const probe = connect(path);
    const finish = (alive) => {
      probe.destroy();
      resolve(alive);
    };
    probe.setTimeout(PROBE_MS, () => finish(true));
    probe.once('connect', () => finish(true));
    probe.once('error', () => finish(false));
  });
}

async function clearStale(path) {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) throw new Error(`${path} exists and is not a socket`);
  if (await answers(path)) throw new Error(`${path} is in use by another process`);
  await unlink(path);
}

function listen(server, ...where) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(...where, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

/**
 * Open each server on `$SOCKET_DIRECTORY/<name>.sock`, or for development on `$HOST` with its port.
 *
 * A socket left by a process that died is removed; one that still answers is an error. The group
 * may connect (mode 0660).
 *
 * @param {Record<string, {server: import('node:http').Server, port: number|undefined}>} servers by socket name
 * @param {Record<string, string|undefined>} environment
 * @returns {Promise<Record<string, string>>} where each one listens
 */
export async function openListeners(servers, environment = process.env) {
  const places = {};
  for (const [name, { server, port }] of Object.entries(servers)) {
    if (environment.SOCKET_DIRECTORY) {
      const path = join(environment.SOCKET_DIRECTORY, `${name}.sock`);
      await clearStale(path);
      await listen(server, path);
      await chmod(path, 0o660);
      places[name] = path;
    } else {
      const host = environment.HOST || '127.0.0.1';
      await listen(server, port ?? 0, host);
      places[name] = `${host}:${server.address().port}`;
    }
  }
  return places;
}
