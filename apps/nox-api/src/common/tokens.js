import { randomUUID } from 'node:crypto';
import { SignJWT, errors, jwtVerify } from 'jose';

const ISSUER = 'nox-api';

/**
 * Issue and check access tokens: JWT, HS256.
 *
 * Versions 7 and 8 use the same claims (`iss`, `sub` user id, `scope` words, `sid` session, `jti`,
 * `iat`, `exp`) and the same secret under two names, so either accepts what the other issued.
 *
 * @param {{secret: string, lifetime: number}} options lifetime in seconds
 */
export function createTokens({ secret, lifetime }) {
  const key = new TextEncoder().encode(secret);

  async function issue({ userId, scope, session = randomUUID() }) {
    const token = await new SignJWT({ scope, sid: session })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(ISSUER)
      .setSubject(userId)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${lifetime}s`)
      .sign(key);
    return { token, session, expiresIn: lifetime };
  }

  /** Return `{userId, scopes, session, expiresAt}` (seconds since 1970), or undefined for any token that does not hold. */
  async function verify(token) {
    try {
      const { payload } = await jwtVerify(token, key, {
        issuer: ISSUER,
        algorithms: ['HS256'],
        requiredClaims: ['sub', 'exp'],
      });
      return {
        userId: payload.sub,
        scopes: String(payload.scope ?? '')
          .split(' ')
          .filter(Boolean),
        session: payload.sid,
        expiresAt: payload.exp,
      };
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  return { issue, verify };
}

/** Return the bearer token of a request, or undefined. */
export function bearerToken(request) {
  const match = /^Bearer +([\w.~+/=-]+)$/i.exec(request.headers.authorization ?? '');
  return match?.[1];
}
