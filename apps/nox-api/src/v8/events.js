const CHANNEL = 'events';

/**
 * Carry events between processes: a user's WebSocket may be on another host than the request.
 *
 * @param {{cache: object, log: object, deliver: (userId: string, message: object) => void}} options
 */
export function createEvents({ cache, log, deliver }) {
  let stop = () => {};
  return {
    start: () => {
      stop = cache.subscribe(CHANNEL, (text) => {
        const { user_id: userId, message } = JSON.parse(text);
        deliver(userId, message);
      });
    },
    publish: async (userId, message) => {
      try {
        await cache.publish(CHANNEL, JSON.stringify({ user_id: userId, message }));
      } catch (error) {
        log.warn('event not published', { error });
      }
    },
    stop: async () => stop(),
  };
}
