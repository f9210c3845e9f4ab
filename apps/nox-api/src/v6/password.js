import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(scrypt);
const KEY_BYTES = 32;
const SALT_BYTES = 16;

/** Hash a password as `scrypt$<salt>$<key>`, both in hex. */
export async function hashPassword(password) {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(password, salt, KEY_BYTES);
  return `scrypt$${salt.toString('hex')}$${key.toString('hex')}`;
}

/** Tell whether a password fits a hash; takes the same time when there is no hash. */
export async function passwordFits(password, hash) {
  const [, salt = '00', key = ''] = String(hash ?? '').split('$');
  const expected = Buffer.from(key, 'hex');
  const actual = await derive(password, Buffer.from(salt, 'hex'), KEY_BYTES);
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
