import { accountRoute } from '../common/account.js';
import { Application } from '../common/application.js';
import { createAuthentication } from '../common/authentication.js';
import { openDatabase } from '../common/database.js';
import { healthRoutes } from '../common/health.js';
import { createHttpServer, identify, loadSettings, open, prepareDrain } from '../common/service.js';
import { loginRoute } from './login.js';
import { DECLARATIONS } from './settings.js';

const settings = loadSettings(DECLARATIONS);
const { version, colour, name, log } = identify(settings, '6.0.0');
const database = openDatabase(settings.DB_URL, settings, { name, log });
const drain = prepareDrain({ log, settings, database });
// version 6 has opaque tokens only: nothing verifies as a signed one
const authenticate = createAuthentication({
  tokens: { verify: async () => undefined },
  database,
  legacy: true,
});

const application = new Application({
  log,
  release: colour,
  isDraining: drain.isDraining,
  before: async (exchange) => {
    await authenticate(exchange);
  },
  routes: [
    ...healthRoutes({ version, database, parts: [] }),
    loginRoute({ database }),
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
