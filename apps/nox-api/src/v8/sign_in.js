import { json } from '../common/application.js';
import { HttpError } from '../common/http_error.js';
import { requestIdentity, requestToken } from '../common/oauth_client.js';
import { signInIdentity } from '../common/users.js';
import { authorizeAddress, grantedScope, localPath } from './sign_in_address.js';

/**
 * The sign-in of version 8.
 *
 * `/url` gives the provider's address; the provider sends the browser to
 * `/api/auth/{provider}/callback`, or to `/auth/callback/{provider}` when a `redirect` path was
 * named, which passes the code on to that path for the page to POST it.
 */
export class SignIn {
  constructor({ publicUrl, providers, states, database, record, grant, recordSignIn }) {
    Object.assign(this, { publicUrl, providers, states, database, record, grant, recordSignIn });
  }

  routes() {
    return [
      { method: 'GET', path: '/api/auth/:provider/url', handle: this.url },
      { method: 'POST', path: '/api/auth/:provider/callback', handle: this.posted },
      { method: 'GET', path: '/api/auth/:provider/callback', handle: this.redirected },
      { method: 'GET', path: '/auth/callback/:provider', handle: this.passOn },
    ];
  }

  provider(exchange) {
    const found = this.providers.get(exchange.parameters.provider);
    if (found) return found;
    throw new HttpError(
      404,
      'unknown_provider',
      `The providers are ${[...this.providers.keys()].join(', ')}.`,
    );
  }

  url = async (exchange) => {
    const provider = this.provider(exchange);
    const redirect = localPath(exchange.query.get('redirect'));
    const path = redirect ? `/auth/callback/${provider.name}` : `/api/auth/${provider.name}/callback`;
    const redirectUri = `${this.publicUrl}${path}`;
    const scope = grantedScope(exchange.query.get('scope'));
    const begun = await this.states.begin({ provider: provider.name, redirectUri, redirect, scope });
    const { state, challenge, cookie, expiresIn } = begun;
    const loginHint = exchange.query.get('login_hint');
    const url = authorizeAddress(provider, { redirectUri, state, challenge, loginHint });
    const body = { url, provider: provider.name, state, redirect_uri: redirectUri, expires_in: expiresIn };
    return json(body, 200, { 'Set-Cookie': cookie });
  };

  posted = async (exchange) => {
    const { code, state } = await exchange.body();
    const own = this.states.ofBrowser(exchange);
    if (state && own && state !== own) {
      throw new HttpError(400, 'invalid_state', 'The state belongs to another sign-in of this browser.');
    }
    return this.finish(exchange, code, state ?? own);
  };

  redirected = async (exchange) => {
    const state = exchange.query.get('state');
    if (!state || this.states.ofBrowser(exchange) !== state) {
      throw new HttpError(400, 'invalid_state', 'This browser did not start the sign-in; start it again.');
    }
    return this.finish(exchange, exchange.query.get('code'), state);
  };

  passOn = async (exchange) => {
    this.provider(exchange);
    const kept = await this.states.peek(exchange.query.get('state'));
    const target = new URL(kept?.redirect ?? '/', this.publicUrl);
    for (const name of ['code', 'state', 'error']) {
      if (exchange.query.has(name)) target.searchParams.set(name, exchange.query.get(name));
    }
    target.searchParams.set('provider', exchange.parameters.provider);
    return {
      status: 302,
      headers: { Location: target.pathname + target.search, 'Cache-Control': 'no-store' },
    };
  };

  async finish(exchange, code, state) {
    const provider = this.provider(exchange);
    if (typeof code !== 'string' || code === '')
      throw new HttpError(400, 'invalid_request', 'A code is needed.');
    const event = { event: 'login', provider: provider.name };
    let signedIn;
    try {
      signedIn = await this.exchangeCode(provider, code, state);
    } catch (error) {
      await this.record(exchange, { ...event, status: 'failure', reason: error.code });
      throw error;
    }
    exchange.user = { id: signedIn.userId };
    const body = await this.grant(signedIn);
    await this.record(exchange, { ...event, status: 'success', userId: signedIn.userId });
    return json(body, 200, { 'Set-Cookie': this.states.clearCookie });
  }

  async exchangeCode(provider, code, state) {
    const { redirectUri, verifier, scope } = await this.states.take(state, provider.name);
    const grant = {
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    };
    const identity = await requestIdentity(provider, await requestToken(provider, grant));
    const user = await signInIdentity(this.database, identity);
    await this.recordSignIn(user.id);
    return { userId: user.id, scope };
  }
}
