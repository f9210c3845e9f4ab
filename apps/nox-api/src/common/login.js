import { json } from './application.js';
import { HttpError } from './http_error.js';
import { requestIdentity, requestToken } from './oauth_client.js';
import { signInIdentity } from './users.js';

/**
 * Make POST /api/auth/login of version 7: a grant from server to server, no redirect.
 *
 * Body: `{"provider": "google", "login_hint": "who@example.org"}`; the hint chooses the account.
 *
 * @param {{database: object, record: Function, tokens: object, provider: object, onSignIn?: (user: object) => Promise<void>}} options
 */
export function loginRoute({ database, record, tokens, provider, onSignIn = async () => {} }) {
  async function signIn(loginHint) {
    const grant = {
      grant_type: 'client_credentials',
      scope: provider.scope,
      ...(loginHint ? { login_hint: String(loginHint) } : {}),
    };
    return signInIdentity(database, await requestIdentity(provider, await requestToken(provider, grant)));
  }

  async function handle(exchange) {
    const body = await exchange.body();
    if (body.provider !== provider.name) {
      throw new HttpError(400, 'unsupported_provider', `The provider has to be ${provider.name}.`);
    }
    let user;
    try {
      user = await signIn(body.login_hint);
    } catch (error) {
      await record(exchange, {
        event: 'login',
        status: 'failure',
        provider: provider.name,
        reason: error.code,
      });
      throw error;
    }
    await onSignIn(user);
    await record(exchange, { event: 'login', status: 'success', userId: user.id, provider: provider.name });
    const { token, expiresIn } = await tokens.issue({ userId: user.id, scope: 'read write' });
    return json({ token, expires_in: expiresIn });
  }
  return { method: 'POST', path: '/api/auth/login', handle };
}
