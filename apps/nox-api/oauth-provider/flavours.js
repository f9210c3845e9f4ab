import { createHash } from 'node:crypto';

function digest(email) {
  return createHash('sha256').update(email.toLowerCase()).digest('hex');
}

function nameOf(email) {
  return email
    .split('@')[0]
    .split(/[._+-]/)
    .filter(Boolean)
    .map((word) => word[0].toUpperCase() + word.slice(1))
    .join(' ');
}

function guid(email) {
  return digest(email).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5');
}

/** What each provider tells of a person, in its own words. The same address always gives the same person. */
export const flavours = {
  google: {
    person: (email) => ({
      sub: BigInt(`0x${digest(email).slice(0, 16)}`).toString(),
      email,
      email_verified: true,
      name: nameOf(email),
      given_name: nameOf(email).split(' ')[0],
      picture: `https://avatars.test/google/${digest(email).slice(0, 12)}.png`,
      locale: 'en',
    }),
  },
  github: {
    person: (email) => ({
      id: parseInt(digest(email).slice(0, 8), 16),
      login: email.split('@')[0],
      name: nameOf(email),
      email: null,
      avatar_url: `https://avatars.test/github/${digest(email).slice(0, 12)}.png`,
      type: 'User',
    }),
    emails: (email) => [
      { email, primary: true, verified: true, visibility: 'private' },
      {
        email: `${email.split('@')[0]}@users.noreply.test`,
        primary: false,
        verified: true,
        visibility: null,
      },
    ],
  },
  microsoft: {
    person: (email) => ({
      id: guid(email),
      displayName: nameOf(email),
      mail: email,
      userPrincipalName: email,
      jobTitle: null,
    }),
  },
};

/**
 * Read the registered clients: `<FLAVOUR>_CLIENT_ID`, `_CLIENT_SECRET` and `_REDIRECT_URIS` (commas between).
 *
 * @returns {Map<string, {id: string, secret: string, redirectUris: string[]}>} the providers that have a client
 */
export function readClients(environment) {
  const clients = new Map();
  for (const flavour of Object.keys(flavours)) {
    const prefix = flavour.toUpperCase();
    const id = environment[`${prefix}_CLIENT_ID`];
    const secret = environment[`${prefix}_CLIENT_SECRET`];
    if (!id || !secret) continue;
    const redirectUris = (environment[`${prefix}_REDIRECT_URIS`] ?? '')
      .split(',')
      .map((uri) => uri.trim())
      .filter(Boolean);
    clients.set(flavour, { id, secret, redirectUris });
  }
  return clients;
}
