import { json } from '../common/application.js';
import { HttpError } from '../common/http_error.js';
import { requestIdentity, requestToken } from '../common/oauth_client.js';
import { signInIdentity } from '../common/users.js';

const BASIC_SCOPE = 'read write';
const EXTRA_SCOPES = new Set(['security:analyze']);

function grantedScope(requested) {
  const extra = String(requested ?? '')
    .split(/[\s,]+/)
    .filter(Boolean);
  const unknown = extra.filter((word) => !EXTRA_SCOPES.has(word) && !BASIC_SCOPE.split(' ').includes(word));
  if (unknown.length > 0)
    throw new HttpError(400, 'invalid_scope', `There is no scope ${unknown.join(', ')}.`);
  return [...BASIC_SCOPE.split(' '), ...extra.filter((word) => EXTRA_SCOPES.has(word))].join(' ');
}

/** Accept only a path of this site: a browser would follow `//host` or `/\host` elsewhere. */
function localPath(path) {
  if (path === null) return undefined;
  if (/^\/(?![/\\])[\w\-./~%]*$/.test(path)) return path;
  throw new HttpError(400, 'invalid_redirect', 'redirect has to be a path of this site.');
}

/**
 * Make the sign-in routes of version 8.
 *
 * `/url` gives the provider's address; the provider sends the browser to
 * `/api/auth/{provider}/callback`, or to `/auth/callback/{provider}` when a `redirect` path was
 * named, which passes the code on to that path for the page to POST it.
 */
export function signInRoutes({ publicUrl, providers, states, database, record, grant, recordSignIn }) {
  function provider(exchange) {
    const found = providers.get(exchange.parameters.provider);
    if (!found)
      throw new HttpError(404, 'unknown_provider', `The providers are ${[...providers.keys()].join(', ')}.`);
    return found;
  }

  async function url(exchange) {
    const chosen = provider(exchange);
    const redirect = localPath(exchange.query.get('redirect'));
    const redirectUri = redirect
      ? `${publicUrl}/auth/callback/${chosen.name}`
      : `${publicUrl}/api/auth/${chosen.name}/callback`;
    const scope = grantedScope(exchange.query.get('scope'));
    const { state, cookie, challenge, expiresIn } = await states.begin({
      provider: chosen.name,
      redirectUri,
      redirect,
      scope,
    });
    const target = new URL(chosen.authorizeUrl);
    const fields = {
      response_type: 'code',
      client_id: chosen.clientId,
      redirect_uri: redirectUri,
      scope: chosen.scope,
      state,
      code_challenge: challenge,
      code_challenge_method: 'S256',
    };
    const hint = exchange.query.get('login_hint');
    for (const [name, value] of Object.entries(hint ? { ...fields, login_hint: hint } : fields))
      target.searchParams.set(name, value);
    return json(
      { url: target.href, provider: chosen.name, state, redirect_uri: redirectUri, expires_in: expiresIn },
      200,
      { 'Set-Cookie': cookie },
    );
  }

  async function exchangeCode(exchange, chosen, { code, state }) {
    const record = await states.take(state, chosen.name);
    const accessToken = await requestToken(chosen, {
      grant_type: 'authorization_code',
      code,
      redirect_uri: record.redirectUri,
      code_verifier: record.verifier,
    });
    const user = await signInIdentity(database, await requestIdentity(chosen, accessToken));
    await recordSignIn(user.id);
    return { user, scope: record.scope };
  }

  async function finish(exchange, { code, state }) {
    const chosen = provider(exchange);
    if (typeof code !== 'string' || code === '')
      throw new HttpError(400, 'invalid_request', 'A code is needed.');
    let signedIn;
    try {
      signedIn = await exchangeCode(exchange, chosen, { code, state });
    } catch (error) {
      await record(exchange, {
        event: 'login',
        status: 'failure',
        provider: chosen.name,
        reason: error.code,
      });
      throw error;
    }
    exchange.user = { id: signedIn.user.id };
    const body = await grant({ userId: signedIn.user.id, scope: signedIn.scope });
    await record(exchange, {
      event: 'login',
      status: 'success',
      userId: signedIn.user.id,
      provider: chosen.name,
    });
    return json(body, 200, { 'Set-Cookie': states.clearCookie });
  }

  async function post(exchange) {
    const { code, state } = await exchange.body();
    const own = states.ofBrowser(exchange);
    if (state && own && state !== own)
      throw new HttpError(400, 'invalid_state', 'The state belongs to another sign-in of this browser.');
    return finish(exchange, { code, state: state ?? own });
  }

  async function redirected(exchange) {
    const state = exchange.query.get('state');
    if (!state || states.ofBrowser(exchange) !== state) {
      throw new HttpError(400, 'invalid_state', 'This browser did not start the sign-in; start it again.');
    }
    return finish(exchange, { code: exchange.query.get('code'), state });
  }

  async function passOn(exchange) {
    provider(exchange);
    const state = exchange.query.get('state');
    const record = await states.peek(state);
    const target = new URL(record?.redirect ?? '/', publicUrl);
    for (const name of ['code', 'state', 'error']) {
      if (exchange.query.has(name)) target.searchParams.set(name, exchange.query.get(name));
    }
    target.searchParams.set('provider', exchange.parameters.provider);
    return {
      status: 302,
      headers: { Location: `${target.pathname}${target.search}`, 'Cache-Control': 'no-store' },
    };
  }

  return [
    { method: 'GET', path: '/api/auth/:provider/url', handle: url },
    { method: 'POST', path: '/api/auth/:provider/callback', handle: post },
    { method: 'GET', path: '/api/auth/:provider/callback', handle: redirected },
    { method: 'GET', path: '/auth/callback/:provider', handle: passOn },
  ];
}
