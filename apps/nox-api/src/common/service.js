import { createServer } from 'node:http';
import { createDrain, closeServer } from './drain.js';
import { openListeners } from './listeners.js';
import { createLog } from './log.js';
import { SettingsInvalid, readSettings } from './settings.js';

// the proxy in front ends idle connections first
const KEEP_ALIVE_MS = 75_000;

/** Read the settings, or end the process with every problem named. */
export function loadSettings(declarations, environment = process.env) {
  try {
    return readSettings(declarations, environment);
  } catch (error) {
    if (!(error instanceof SettingsInvalid)) throw error;
    createLog({ level: 'error' }).error('settings invalid', { problems: error.problems });
    return process.exit(78);
  }
}

/** Make the log and the identity of this process. */
export function identify(settings, fallbackVersion, environment = process.env) {
  const version = environment.RELEASE_VERSION || fallbackVersion;
  const colour = environment.RELEASE_COLOUR || 'development';
  return {
    version,
    colour,
    name: `nox-api/${version}`,
    log: createLog({ level: settings.LOG_LEVEL, fields: { app: 'nox-api', version, colour } }),
  };
}

/** Make the drain of a process: HTTP servers finish first, then its connections are closed. */
export function prepareDrain({ log, settings, database, cache }) {
  const drain = createDrain({ log, seconds: settings.DRAIN_SECONDS });
  process.on('unhandledRejection', (error) => log.error('unhandled rejection', { error }));
  if (cache) drain.onRelease('cache', cache.close);
  if (database) drain.onRelease('database', database.close);
  return drain;
}

/** Make an HTTP server whose drain is registered. */
export function createHttpServer(name, listener, drain) {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, listener);
  drain.onDrain(`${name} requests`, () => closeServer(server));
  return server;
}

/** Open all listeners of a process, or end it with the reason in the log. */
export async function open(servers, log, environment = process.env) {
  try {
    log.info('listening', { places: await openListeners(servers, environment) });
  } catch (error) {
    log.error('cannot listen', { error });
    process.exit(1);
  }
}
