import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const CODE_LIFETIME_MS = 60_000;
const TOKEN_LIFETIME_MS = 3_600_000;
const MAX_RECORDS = 20_000;

function proves(verifier, challenge) {
  const [given, expected] = [
    createHash('sha256')
      .update(verifier ?? '')
      .digest(),
    Buffer.from(challenge, 'base64url'),
  ];
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** Keep codes and access tokens in memory: each belongs to one provider and one address, for a while. */
export function createGrants({ now = () => Date.now() } = {}) {
  const codes = new Map();
  const tokens = new Map();

  function issue(records, record, lifetime) {
    const word = randomBytes(24).toString('base64url');
    records.set(word, { ...record, until: now() + lifetime });
    // the oldest go first: a Map keeps the order of insertion
    if (records.size > MAX_RECORDS) records.delete(records.keys().next().value);
    return word;
  }

  return {
    issueCode: (record) => issue(codes, record, CODE_LIFETIME_MS),
    issueToken: (record) => issue(tokens, record, TOKEN_LIFETIME_MS),
    /** Return the address a code stands for, and use the code up whatever comes of it. */
    takeCode({ code, flavour, redirectUri, verifier }) {
      const record = codes.get(code);
      codes.delete(code);
      const holds =
        record &&
        record.until > now() &&
        record.flavour === flavour &&
        record.redirectUri === redirectUri &&
        (!record.challenge || proves(verifier, record.challenge));
      return holds ? record.email : undefined;
    },
    ownerOf({ token, flavour }) {
      const record = tokens.get(token);
      return record && record.until > now() && record.flavour === flavour ? record.email : undefined;
    },
  };
}
