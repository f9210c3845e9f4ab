import { accountRoute } from '../common/account.js';
import { Application } from '../common/application.js';
import { createAuthentication } from '../common/authentication.js';
import { createAuthenticationLog } from '../common/authentication_log.js';
import { openCache } from '../common/cache.js';
import { openDatabase } from '../common/database.js';
import { healthRoutes } from '../common/health.js';
import { loginRoute } from '../common/login.js';
import { logoutRoute } from '../common/logout.js';
import { createProviders } from '../common/providers.js';
import { createHttpServer, identify, loadSettings, open, prepareDrain } from '../common/service.js';
import { createTokens } from '../common/tokens.js';
import { createLoginThrottle } from './throttle.js';
import { DECLARATIONS, PROVIDER } from './settings.js';

const TOKEN_LIFETIME_SECONDS = 3600;

const settings = loadSettings(DECLARATIONS);
const { version, colour, name, log } = identify(settings, '7.0.0');
const database = openDatabase(settings.DB_URL, settings, { name, log });
const cache = openCache({ url: settings.REDIS_URL, name, log });
const drain = prepareDrain({ log, settings, database, cache });
const tokens = createTokens({ secret: settings.AUTH_SECRET, lifetime: TOKEN_LIFETIME_SECONDS });
const authenticate = createAuthentication({ tokens, database, legacy: true });
const record = createAuthenticationLog({ database });
const throttle = createLoginThrottle({ cache });
const provider = createProviders([PROVIDER], settings).get(PROVIDER);

const application = new Application({
  log,
  release: colour,
  isDraining: drain.isDraining,
  before: async (exchange) => {
    await authenticate(exchange);
    await throttle(exchange);
  },
  routes: [
    ...healthRoutes({ version, database, cache }),
    loginRoute({ database, record, tokens, provider }),
    logoutRoute({ record }),
    accountRoute({ database }),
  ],
});

await open(
  {
    http: {
      server: createHttpServer('http', application.listener, drain),
      port: Number(process.env.PORT || 3000),
    },
  },
  log,
);
