import { HttpError } from './http_error.js';

const TIMEOUT_MS = 5000;

async function call(provider, url, options) {
  let response;
  let body;
  try {
    response = await fetch(url, { ...options, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
    body = await response.json();
  } catch (error) {
    throw new HttpError(502, 'provider_unavailable', `${provider.name} does not answer as it should.`, {
      cause: error,
    });
  }
  return { response, body };
}

/**
 * Ask a provider's token endpoint.
 *
 * @param {object} provider a record of `providers.js`
 * @param {Record<string, string>} grant the grant's own fields
 * @returns {Promise<string>} the provider's access token
 * @throws {HttpError} 400 when the provider refuses the grant, 502 when it does not answer
 */
export async function requestToken(provider, grant) {
  const form = new URLSearchParams({
    client_id: provider.clientId,
    client_secret: provider.clientSecret,
    ...grant,
  });
  const { response, body } = await call(provider, provider.tokenUrl, {
    method: 'POST',
    // GitHub answers with a form unless JSON is asked for, and reports errors with status 200
    headers: { Accept: 'application/json', 'Content-Type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  });
  if (response.status >= 500)
    throw new HttpError(502, 'provider_unavailable', `${provider.name} answered ${response.status}.`);
  if (!response.ok || body.error || !body.access_token) {
    throw new HttpError(400, 'provider_refused', `${provider.name} refused the sign-in.`, {
      details: { provider_error: String(body.error ?? response.status) },
    });
  }
  return body.access_token;
}

/**
 * Ask a provider who the token belongs to.
 *
 * @returns {Promise<{provider: string, providerUserId: string, email: string, emailVerified: boolean, name: ?string, avatarUrl: ?string}>}
 */
export async function requestIdentity(provider, accessToken) {
  const get = async (url) => {
    const headers = {
      Accept: 'application/json',
      Authorization: `Bearer ${accessToken}`,
      'User-Agent': 'nox-api',
    };
    const { response, body } = await call(provider, url, { headers });
    if (!response.ok)
      throw new HttpError(502, 'provider_unavailable', `${provider.name} answered ${response.status}.`);
    return body;
  };
  const identity = await provider.readIdentity(await get(provider.userinfoUrl), get);
  if (!identity.email)
    throw new HttpError(400, 'email_missing', `${provider.name} gave no address for this account.`);
  return { ...identity, provider: provider.name, email: identity.email.toLowerCase() };
}
