import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);
const START_MS = 20_000;

/** The folder of the app. */
export const APP = fileURLToPath(new URL('../..', import.meta.url));

async function until(what, probe) {
  const deadline = Date.now() + START_MS;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`${what} did not start: ${error.message}`);
      await sleep(50);
    }
  }
}

function ended(child) {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Stop a child that this test started and wait for it. */
export async function stop(child, signal = 'SIGTERM') {
  if (ended(child)) return child.exitCode;
  const gone = new Promise((resolve) => {
    child.once('exit', resolve);
  });
  child.kill(signal);
  return gone;
}

async function postgresPrograms() {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? (await readdir(root)).sort((a, b) => Number(b) - Number(a)) : [];
  for (const version of versions) {
    const bin = join(root, version, 'bin');
    if (existsSync(join(bin, 'initdb')) && existsSync(join(bin, 'postgres'))) return bin;
  }
  throw new Error(`no PostgreSQL server below ${root}: apt-get install postgresql`);
}

/** PostgreSQL refuses to run as root, so its programs then run as the user its package made. */
async function owner() {
  if (process.getuid() !== 0) return { prefix: [], uid: undefined };
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'postgres'])).stdout)),
  );
  return { prefix: ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'], uid, gid };
}

async function startPostgres(folder) {
  const bin = await postgresPrograms();
  const { prefix, uid, gid } = await owner();
  const directory = join(folder, 'postgres');
  await mkdir(directory);
  if (uid !== undefined) await chown(directory, uid, gid);
  const command = (program, ...words) => [...prefix, join(bin, program), ...words];
  const [initdb, ...initWords] = command(
    'initdb',
    '-D',
    join(directory, 'data'),
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--no-sync',
  );
  await run(initdb, initWords, { cwd: directory });
  const settings = [
    'listen_addresses=',
    `unix_socket_directories=${directory}`,
    'fsync=off',
    'max_connections=60',
  ];
  const [program, ...words] = command(
    'postgres',
    '-D',
    join(directory, 'data'),
    ...settings.flatMap((setting) => ['-c', setting]),
  );
  const child = spawn(program, words, { cwd: directory, stdio: 'ignore' });
  const at = (database) => ({ host: directory, user: 'postgres', database });
  await until('PostgreSQL', async () => {
    const client = new pg.Client(at('postgres'));
    await client.connect();
    await client.query('CREATE DATABASE nox_api');
    await client.end();
  });
  const url = (user) => `postgresql://${user}@localhost/nox_api?host=${encodeURIComponent(directory)}`;
  const open = async (database) => {
    const client = new pg.Client(at(database));
    await client.connect();
    return client;
  };
  return { child, url, connect: open };
}

async function startRedis(folder) {
  const socket = join(folder, 'redis.sock');
  const acl = [
    'user',
    'nox_api',
    'on',
    '>cache-word',
    '~nox-api:*',
    '&nox-api:*',
    '+@all',
    '-@admin',
    '-@dangerous',
  ];
  const child = spawn(
    'redis-server',
    [
      '--port',
      '0',
      '--unixsocket',
      socket,
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      folder,
      '--user',
      ...acl.slice(1),
    ],
    { stdio: 'ignore' },
  );
  let failure;
  child.once('error', (error) => {
    failure = error;
  });
  await until('Redis', async () => {
    if (failure) throw failure;
    if (!existsSync(socket)) throw new Error('no socket');
  });
  return { child, url: `redis://nox_api:cache-word@localhost?path=${socket}`, socket };
}

/** Split off the statements that no transaction may hold; the rest of a file is run at once. */
function pieces(sql) {
  return /CONCURRENTLY/.test(sql)
    ? sql
        .split(';')
        .map((part) => part.trim())
        .filter(Boolean)
    : [sql];
}

/** Run the migrations of a release, phase by phase, with their verify queries. */
export async function migrate(client, version, phases = ['expand', 'backfill']) {
  for (const phase of phases) {
    const folder = join(APP, 'releases', version, 'migrations', phase);
    const names = existsSync(folder)
      ? (await readdir(folder)).filter((name) => /^\d{3}_\w+\.sql$/.test(name)).sort()
      : [];
    for (const name of names) {
      const sql = (await readFile(join(folder, name), 'utf8'))
        .replaceAll('$1', "'00000000-0000-0000-0000-000000000000'")
        .replaceAll('$2', "'ffffffff-ffff-ffff-ffff-ffffffffffff'");
      for (const piece of pieces(sql)) await client.query(piece);
      await verify(client, join(folder, name.replace(/\.sql$/, '.verify.sql')));
    }
  }
}

async function verify(client, file) {
  const results = [await client.query(await readFile(file, 'utf8'))].flat();
  for (const { rows } of results) {
    if (rows.length === 0 || rows.some((row) => !Object.values(row).every((value) => value === true)))
      throw new Error(`${file} is not true`);
  }
}

/**
 * Start PostgreSQL and Redis in a folder of their own, with the app role that may only read and write rows.
 *
 * @returns {Promise<object>} folder, urls, a client of the owner, `close`
 */
export async function startServices() {
  const folder = await mkdtemp('/tmp/nox-api-test-');
  await chmod(folder, 0o755);
  const children = [];
  const close = async () => {
    for (const child of children.reverse()) await stop(child, 'SIGQUIT');
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const postgres = await startPostgres(folder);
    children.push(postgres.child);
    const redis = await startRedis(folder);
    children.push(redis.child);
    const admin = await postgres.connect('nox_api');
    await admin.query(`
      CREATE ROLE nox_api_app LOGIN;
      ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO nox_api_app;`);
    return {
      folder,
      admin,
      connect: postgres.connect,
      databaseUrl: postgres.url('nox_api_app'),
      redisUrl: redis.url,
      redis,
      close: async () => {
        await admin.end();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
