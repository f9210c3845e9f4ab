import { randomBytes } from 'node:crypto';
import { json } from '../common/application.js';
import { HttpError } from '../common/http_error.js';
import { passwordFits } from './password.js';

const TOKEN_BYTES = 32;

/** Make POST /api/auth/login of version 6: address and password for one opaque token a user. */
export function loginRoute({ database }) {
  async function handle(exchange) {
    const { email, password } = await exchange.body();
    if (typeof email !== 'string' || typeof password !== 'string') {
      throw new HttpError(400, 'invalid_request', 'email and password are needed.');
    }
    const { rows } = await database.query('SELECT id, password_hash FROM users WHERE email = $1', [
      email.toLowerCase(),
    ]);
    if (!(await passwordFits(password, rows[0]?.password_hash))) {
      throw new HttpError(401, 'unauthenticated', 'Address or password is wrong.');
    }
    const token = randomBytes(TOKEN_BYTES).toString('hex');
    await database.query('UPDATE users SET old_token_field = $2 WHERE id = $1', [rows[0].id, token]);
    return json({ token });
  }
  return { method: 'POST', path: '/api/auth/login', handle };
}
