import Redis from 'ioredis';

const PREFIX = 'nox-api:';
const COMMAND_TIMEOUT_MS = 2000;
const RECONNECT_STEP_MS = 100;
const RECONNECT_MAX_MS = 2000;

/**
 * Connect to Redis; every key and channel is below `nox-api:`, which is what the ACL user may touch.
 *
 * Commands fail at once while the server is away, so a caller can go on without it.
 *
 * @param {{url: string, name: string, log: object}} options
 */
export function openCache({ url, name, log }) {
  const options = {
    connectionName: name,
    // the readiness probe needs INFO, which an ACL without @dangerous refuses
    enableReadyCheck: false,
    enableOfflineQueue: true,
    maxRetriesPerRequest: 1,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy: (attempt) => Math.min(attempt * RECONNECT_STEP_MS, RECONNECT_MAX_MS),
  };
  const client = new Redis(url, { ...options, keyPrefix: PREFIX });
  client.on('error', (error) => log.warn('redis connection error', { error }));

  /**
   * Listen to a channel on a connection of its own; `receive(text)` gets what is published.
   *
   * It waits for a server that is away, so what it returns is only the way to end it.
   */
  function subscribe(channel, receive) {
    const waiting = { ...options, commandTimeout: undefined, maxRetriesPerRequest: null };
    const subscriber = new Redis(url, { ...waiting, connectionName: `${name}-events` });
    subscriber.on('error', (error) => log.warn('redis subscriber error', { error }));
    subscriber.on('message', (_, text) => receive(text));
    let ending = false;
    subscriber.subscribe(`${PREFIX}${channel}`).catch((error) => {
      if (!ending) log.warn('channel not subscribed', { channel, error });
    });
    return () => {
      ending = true;
      subscriber.disconnect();
    };
  }

  return {
    client,
    subscribe,
    publish: (channel, text) => client.publish(`${PREFIX}${channel}`, text),
    ping: () => client.ping(),
    close: async () => client.disconnect(),
  };
}
