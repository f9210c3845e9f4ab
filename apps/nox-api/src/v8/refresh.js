import { json } from '../common/application.js';
import { HttpError } from '../common/http_error.js';

/**
 * Make the function that turns a sign-in or a refresh into the token answer of version 8.
 *
 * Without refresh tokens (OAUTH_REFRESH_TOKEN_ENABLED=false) the answer has an access token only.
 */
export function createGrant({ tokens, sessions, refreshEnabled }) {
  async function answer({ userId, scope, session, refreshToken, refreshExpiresIn }) {
    const { token, expiresIn } = await tokens.issue({ userId, scope, session });
    const renewal = refreshToken ? { refresh_token: refreshToken, refresh_expires_in: refreshExpiresIn } : {};
    return { access_token: token, token_type: 'Bearer', expires_in: expiresIn, ...renewal, scope };
  }
  return {
    signedIn: async (grant) => answer(refreshEnabled ? await sessions.open(grant) : grant),
    refreshed: answer,
  };
}

/** Make POST /api/auth/refresh: `{"refresh_token": "..."}` for the next pair of tokens. */
export function refreshRoute({ record, sessions, grant, enabled }) {
  async function handle(exchange) {
    if (!enabled) throw new HttpError(404, 'feature_disabled', 'Refresh tokens are switched off.');
    const { refresh_token: given } = await exchange.body();
    if (typeof given !== 'string' || given === '')
      throw new HttpError(400, 'invalid_request', 'refresh_token is needed.');
    let renewed;
    try {
      renewed = await sessions.refresh(given);
    } catch (error) {
      await record(exchange, {
        event: 'refresh',
        status: 'failure',
        userId: error.userId,
        reason: error.code,
      });
      throw error;
    }
    await record(exchange, { event: 'refresh', status: 'success', userId: renewed.userId });
    return json(await grant.refreshed(renewed));
  }
  return { method: 'POST', path: '/api/auth/refresh', handle };
}
