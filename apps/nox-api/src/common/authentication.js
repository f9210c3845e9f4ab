import { HttpError } from './http_error.js';
import { bearerToken } from './tokens.js';
import { userByLegacyToken } from './users.js';

const DEFAULT_SCOPES = ['read', 'write'];

/**
 * Make the function that finds who a request comes from.
 *
 * The result, `{id, scopes, session}` or undefined, is kept on the exchange as `user`.
 *
 * @param {{tokens: object, database: object, legacy: boolean}} options `legacy` accepts the opaque tokens of version 6
 */
export function createAuthentication({ tokens, database, legacy }) {
  async function identify(exchange) {
    const token = bearerToken(exchange.request);
    if (!token) return undefined;
    const claims = await tokens.verify(token);
    if (claims) return { id: claims.userId, scopes: claims.scopes, session: claims.session };
    if (!legacy || token.includes('.')) return undefined;
    const user = await userByLegacyToken(database, token);
    return user && { id: user.id, scopes: DEFAULT_SCOPES, session: undefined };
  }

  return async function authenticate(exchange) {
    exchange.user = await identify(exchange);
    return exchange.user;
  };
}

/** Return the user of an exchange that was authenticated before, or answer 401. */
export function requireUser(exchange) {
  if (exchange.user) return exchange.user;
  throw new HttpError(401, 'unauthenticated', 'A valid access token is needed.', {
    headers: { 'WWW-Authenticate': 'Bearer realm="nox-api"' },
  });
}

/** Answer 403 when the token of the exchange lacks a scope. */
export function requireScope(exchange, scope) {
  const user = requireUser(exchange);
  if (user.scopes.includes(scope)) return user;
  throw new HttpError(
    403,
    'insufficient_scope',
    `The access token lacks the scope ${scope}; ask for it when signing in.`,
    {
      headers: { 'WWW-Authenticate': `Bearer realm="nox-api", error="insufficient_scope", scope="${scope}"` },
      details: { scope },
    },
  );
}
