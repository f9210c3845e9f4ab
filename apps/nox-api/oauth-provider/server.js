import { createServer } from 'node:http';
import { flavours, readClients } from './flavours.js';
import { createGrants } from './grants.js';

const BODY_LIMIT = 16 * 1024;

/** An answer in the words of RFC 6749. */
class Refusal extends Error {
  constructor(status, error, description) {
    super(description);
    this.status = status;
    this.body = { error, error_description: description };
  }
}

const clients = readClients(process.env);
const grants = createGrants();

async function readForm(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_LIMIT) throw new Refusal(413, 'invalid_request', 'the body is too large');
  }
  return new URLSearchParams(text);
}

function escape(text) {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

function form(query) {
  const hidden = [...query]
    .map(([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`)
    .join('');
  return `<!doctype html><title>Sign in</title><form>${hidden}<label>Address <input name="login_hint" type="email" required></label><button>Sign in</button></form>`;
}

function authorize(flavour, query) {
  const client = clients.get(flavour);
  if (query.get('client_id') !== client.id)
    throw new Refusal(400, 'invalid_client', 'the client is not registered');
  const redirectUri = query.get('redirect_uri') ?? '';
  // never redirect to an address that is not registered, not even with an error
  if (!client.redirectUris.includes(redirectUri)) {
    throw new Refusal(
      400,
      'redirect_uri_mismatch',
      `${redirectUri || 'an empty address'} is not registered for this client`,
    );
  }
  if (query.get('response_type') !== 'code')
    throw new Refusal(400, 'unsupported_response_type', 'only code is supported');
  if (query.get('code_challenge') && query.get('code_challenge_method') !== 'S256')
    throw new Refusal(400, 'invalid_request', 'only S256 is supported');
  const email = query.get('login_hint');
  if (!email) return { status: 200, type: 'text/html; charset=utf-8', body: form(query) };
  const target = new URL(redirectUri);
  target.searchParams.set(
    'code',
    grants.issueCode({ flavour, email, redirectUri, challenge: query.get('code_challenge') }),
  );
  if (query.has('state')) target.searchParams.set('state', query.get('state'));
  return { status: 302, location: target.href };
}

function credentials(request, fields) {
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '');
  if (!basic) return [fields.get('client_id'), fields.get('client_secret')];
  return Buffer.from(basic[1], 'base64').toString('utf8').split(':').map(decodeURIComponent);
}

async function token(flavour, request) {
  const fields = await readForm(request);
  const client = clients.get(flavour);
  const [id, secret] = credentials(request, fields);
  if (id !== client.id || secret !== client.secret)
    throw new Refusal(401, 'invalid_client', 'the client or its secret is wrong');
  let email;
  if (fields.get('grant_type') === 'authorization_code') {
    email = grants.takeCode({
      code: fields.get('code'),
      flavour,
      redirectUri: fields.get('redirect_uri'),
      verifier: fields.get('code_verifier'),
    });
    if (!email) throw new Refusal(400, 'invalid_grant', 'the code does not hold');
  } else if (fields.get('grant_type') === 'client_credentials') {
    email = fields.get('login_hint') ?? `default@${flavour}.test`;
  } else {
    throw new Refusal(400, 'unsupported_grant_type', 'authorization_code or client_credentials');
  }
  return {
    status: 200,
    json: {
      access_token: grants.issueToken({ flavour, email }),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: fields.get('scope') ?? '',
    },
  };
}

function person(flavour, request, shape) {
  const [, given] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
  const email = grants.ownerOf({ token: given, flavour });
  if (!email) throw new Refusal(401, 'invalid_token', 'the access token does not hold');
  return { status: 200, json: shape(email) };
}

async function route(request) {
  const url = new URL(request.url, 'http://localhost');
  if (request.method === 'GET' && url.pathname === '/health') return { status: 200, json: { status: 'ok' } };
  const [, flavour, action, detail] = url.pathname.split('/');
  if (!clients.has(flavour)) throw new Refusal(404, 'not_found', 'there is no such provider');
  const address = `${request.method} ${action}${detail ? `/${detail}` : ''}`;
  if (address === 'GET authorize') return authorize(flavour, url.searchParams);
  if (address === 'POST token') return token(flavour, request);
  if (address === 'GET userinfo') return person(flavour, request, flavours[flavour].person);
  if (address === 'GET userinfo/emails' && flavours[flavour].emails)
    return person(flavour, request, flavours[flavour].emails);
  throw new Refusal(404, 'not_found', 'there is nothing at this address');
}

async function answer(request) {
  try {
    return await route(request);
  } catch (error) {
    if (error instanceof Refusal) return { status: error.status, json: error.body };
    process.stderr.write(`${error.stack}\n`);
    return { status: 500, json: { error: 'server_error' } };
  }
}

const server = createServer(async (request, response) => {
  const {
    status,
    json,
    location,
    type = 'application/json',
    body = json ? JSON.stringify(json) : '',
  } = await answer(request);
  response
    .writeHead(status, {
      'Content-Type': type,
      'Cache-Control': 'no-store',
      ...(location ? { Location: location } : {}),
    })
    .end(body);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}
server.listen(Number(process.env.PORT || 9000), process.env.LISTEN_ADDRESS || '127.0.0.1', () => {
  const { address, port } = server.address();
  process.stdout.write(`${JSON.stringify({ message: 'listening', address, port })}\n`);
});
