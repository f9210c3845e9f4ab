const CHANNEL = 'events';

/**
 * Carry events between processes: a user's WebSocket may be on another host than the request.
 *
 * @param {{cache: object, log: object, deliver: (userId: string, message: object) => void}} options
 */
export function createEvents({ cache, log, deliver }) {
  let stop = () => {};
  return {
    start: async () => {
      try {
        stop = await cache.subscribe(CHANNEL, (_, text) => {
          const { user_id: userId, message } = JSON.parse(text);
          deliver(userId, message);
        });
      } catch (error) {
        log.warn('events of other processes will not arrive', { error });
      }
    },
    publish: (userId, message) =>
      cache
        .publish(CHANNEL, JSON.stringify({ user_id: userId, message }))
        .catch((error) => log.warn('event not published', { error })),
    stop: async () => stop(),
  };
}
