import { Application } from '../common/application.js';
import { createAuthentication } from '../common/authentication.js';
import { createAuthenticationLog } from '../common/authentication_log.js';
import { openCache } from '../common/cache.js';
import { openDatabase } from '../common/database.js';
import { leaveCounts } from '../common/drain.js';
import { healthRoutes } from '../common/health.js';
import { logoutRoute } from '../common/logout.js';
import { createProviders } from '../common/providers.js';
import { createHttpServer, identify, loadSettings, open, prepareDrain } from '../common/service.js';
import { createTokens } from '../common/tokens.js';
import { createEvents } from './events.js';
import { publicFiles } from './files.js';
import { formerRoutes } from './former_routes.js';
import { createGate } from './gate.js';
import { Metrics } from './metrics.js';
import { performanceRoutes, startSampling } from './performance.js';
import { createSignInRecorder, profileRoute } from './profile.js';
import { createRateLimit } from './rate_limit.js';
import { createGrant, refreshRoute } from './refresh.js';
import { SecurityAnalysis } from './security_analysis.js';
import { Sessions } from './sessions.js';
import { DECLARATIONS, PROVIDERS } from './settings.js';
import { SignIn } from './sign_in.js';
import { SignInStates } from './sign_in_state.js';
import { connectRoutes, createTickets } from './tickets.js';
import { WebSockets } from './websocket_server.js';
import { createSessionRows } from './websocket_sessions.js';

const settings = loadSettings(DECLARATIONS);
const { version, colour, name, log } = identify(settings, '8.0.0');
const database = openDatabase(settings.DATABASE_URL, settings, { name, log });
const cache = openCache({ url: settings.REDIS_URL, name, log });
const drain = prepareDrain({ log, settings, database, cache });
const metrics = new Metrics({ version, colour, database });

const tokens = createTokens({ secret: settings.JWT_SECRET, lifetime: settings.JWT_EXPIRES_IN });
const sessions = new Sessions({
  database,
  lifetime: settings.JWT_REFRESH_EXPIRES_IN,
  idle: settings.OAUTH_SESSION_TIMEOUT,
  rotation: settings.OAUTH_TOKEN_ROTATION,
});
const grant = createGrant({ tokens, sessions, refreshEnabled: settings.OAUTH_REFRESH_TOKEN_ENABLED });
const authenticate = createAuthentication({ tokens, database, legacy: settings.LEGACY_TOKEN_SUPPORT });
const record = createAuthenticationLog({
  database,
  observe: (event, status) => metrics.authentications.inc({ event, status }),
});
const limit = createRateLimit({
  cache,
  windowMs: settings.RATE_LIMIT_WINDOW_MS,
  max: settings.RATE_LIMIT_MAX_REQUESTS,
  onReject: () => metrics.rejected.inc(),
});
const gate = createGate({ settings, authenticate, limit });

const providers = createProviders(PROVIDERS, settings);
const states = new SignInStates({
  cache,
  csrfSecret: settings.CSRF_SECRET,
  sessionSecret: settings.SESSION_SECRET,
  secure: settings.PUBLIC_URL.startsWith('https:'),
});
const recordSignIn = createSignInRecorder({ database });
const tickets = createTickets({ cache });
const files = await publicFiles();

const heartbeatMs = settings.WEBSOCKET_HEARTBEAT_INTERVAL;
const sockets = new WebSockets({
  log,
  release: colour,
  tickets,
  heartbeatMs,
  maxConnections: settings.WEBSOCKET_MAX_CONNECTIONS,
  gauge: metrics.websockets,
  origins: gate.origins,
  rows: createSessionRows({ database, log, heartbeatMs }),
});
const events = createEvents({ cache, log, deliver: sockets.notify });

const application = new Application({
  log,
  release: colour,
  isDraining: drain.isDraining,
  before: gate.pass,
  observe: metrics.observe,
  routes: [
    ...healthRoutes({
      version,
      database,
      cache,
      parts: settings.HEALTH_CHECK_ENABLED ? ['db', 'redis'] : [],
    }),
    ...new SignIn({
      publicUrl: settings.PUBLIC_URL,
      providers,
      states,
      database,
      record,
      grant: grant.signedIn,
      recordSignIn,
    }).routes(),
    refreshRoute({ record, sessions, grant, enabled: settings.OAUTH_REFRESH_TOKEN_ENABLED }),
    logoutRoute({ record, endSession: async (user) => user.session && sessions.end(user.session) }),
    ...formerRoutes({
      compatible: settings.BACKWARD_COMPATIBILITY,
      database,
      record,
      tokens,
      provider: providers.get('google'),
      onSignIn: (user) => recordSignIn(user.id),
    }),
    profileRoute({ database }),
    ...new SecurityAnalysis({ database, settings, notify: events.publish }).routes(),
    ...performanceRoutes({
      database,
      vitals: settings.WEBVITALS_ENABLED,
      summary: settings.PERFORMANCE_MONITORING,
      bundle: () => (settings.BUNDLE_ANALYZER_ENABLED ? files.sizes : undefined),
    }),
    ...connectRoutes({
      tickets,
      enabled: settings.WEBSOCKET_ENABLED,
      publicUrl: settings.PUBLIC_URL,
      heartbeatMs,
    }),
    ...files.routes,
  ],
});

const servers = {
  http: {
    server: createHttpServer('http', application.listener, drain),
    port: Number(process.env.PORT || 3000),
  },
};
const upgradeOnly = createHttpServer(
  'websocket',
  (_, response) => response.writeHead(426, { Upgrade: 'websocket' }).end(),
  drain,
);
if (settings.WEBSOCKET_ENABLED) {
  upgradeOnly.on('upgrade', sockets.upgrade);
  events.start();
}
drain.onDrain('websockets', () => sockets.drain(settings.DRAIN_SECONDS));
drain.onDrain('events', events.stop);
leaveCounts(() => (sockets.leaving ? sockets.ends : undefined), log);
servers.ws = { server: upgradeOnly, port: Number(process.env.WEBSOCKET_PORT || 8080) };
if (settings.METRICS_COLLECTION) {
  servers.metrics = {
    server: createHttpServer('metrics', metrics.listener, drain),
    port: Number(process.env.METRICS_PORT || 9464),
  };
}
if (settings.METRICS_COLLECTION && settings.PERFORMANCE_MONITORING) {
  drain.onDrain(
    'sampling',
    startSampling({
      database,
      log,
      intervalMs: settings.METRICS_COLLECTION_INTERVAL,
      session: `process:${colour}`,
    }),
  );
}
await open(servers, log);
