import { accountRoute } from '../common/account.js';
import { HttpError } from '../common/http_error.js';
import { loginRoute } from '../common/login.js';

function gone(method, path, replacement) {
  return {
    method,
    path,
    handle: async () => {
      throw new HttpError(410, 'gone', `${path} belongs to version 7; use ${replacement}.`, {
        details: { replacement },
        headers: { Link: `<${replacement}>; rel="successor-version"` },
      });
    },
  };
}

/** Make what version 7 had and version 8 replaced: as it was with BACKWARD_COMPATIBILITY, else 410 with the successor. */
export function formerRoutes({ compatible, database, record, tokens, provider, onSignIn }) {
  if (compatible)
    return [loginRoute({ database, record, tokens, provider, onSignIn }), accountRoute({ database })];
  return [
    gone('POST', '/api/auth/login', '/api/auth/{provider}/url'),
    gone('GET', '/api/user', '/api/user/profile'),
  ];
}
