import { HttpError } from '../common/http_error.js';

const BASIC_SCOPES = ['read', 'write'];
const EXTRA_SCOPES = ['security:analyze'];

/** Return the scope of a sign-in: read and write always, others when they were asked for. */
export function grantedScope(requested) {
  const words = String(requested ?? '')
    .split(/[\s,]+/)
    .filter(Boolean);
  const unknown = words.filter((word) => ![...BASIC_SCOPES, ...EXTRA_SCOPES].includes(word));
  if (unknown.length > 0)
    throw new HttpError(400, 'invalid_scope', `There is no scope ${unknown.join(', ')}.`);
  return [...BASIC_SCOPES, ...EXTRA_SCOPES.filter((word) => words.includes(word))].join(' ');
}

/** Accept only a path of this site: a browser would follow `//host` or `/\host` elsewhere. */
export function localPath(path) {
  if (path === null) return undefined;
  if (/^\/(?![/\\])[\w\-./~%]*$/.test(path)) return path;
  throw new HttpError(400, 'invalid_redirect', 'redirect has to be a path of this site.');
}

/** Build the address of the provider's page. */
export function authorizeAddress(provider, { redirectUri, state, challenge, loginHint }) {
  const address = new URL(provider.authorizeUrl);
  const fields = {
    response_type: 'code',
    client_id: provider.clientId,
    redirect_uri: redirectUri,
    scope: provider.scope,
    state,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...(loginHint ? { login_hint: loginHint } : {}),
  };
  for (const [name, value] of Object.entries(fields)) address.searchParams.set(name, value);
  return address.href;
}
