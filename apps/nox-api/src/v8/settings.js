import { providerSettings } from '../common/providers.js';
import { PROCESS_SETTINGS } from '../common/settings.js';

/** The providers of version 8. */
export const PROVIDERS = ['google', 'github', 'microsoft'];

const flag = (value) => ({ type: 'boolean', default: value });

const TOKENS = {
  JWT_SECRET: { type: 'string', required: true },
  JWT_EXPIRES_IN: { type: 'integer', default: 3600, minimum: 60 },
  JWT_REFRESH_EXPIRES_IN: { type: 'integer', default: 604_800, minimum: 300 },
  OAUTH_REFRESH_TOKEN_ENABLED: flag(true),
  OAUTH_TOKEN_ROTATION: flag(true),
  OAUTH_SESSION_TIMEOUT: { type: 'integer', default: 86_400, minimum: 60 },
  CSRF_SECRET: { type: 'string', required: true },
  SESSION_SECRET: { type: 'string', required: true },
};

const FEATURES = {
  AI_SECURITY_ENABLED: flag(true),
  AI_THREAT_THRESHOLD: { type: 'number', default: 0.7, minimum: 0, maximum: 1 },
  AI_BIOMETRIC_ENABLED: flag(false),
  AI_SECURITY_MODEL_URL: { type: 'url' },
  WEBVITALS_ENABLED: flag(true),
  PERFORMANCE_MONITORING: flag(true),
  BUNDLE_ANALYZER_ENABLED: flag(false),
  METRICS_COLLECTION: flag(true),
  METRICS_COLLECTION_INTERVAL: { type: 'integer', default: 60_000, minimum: 1000 },
  WEBSOCKET_ENABLED: flag(true),
  WEBSOCKET_HEARTBEAT_INTERVAL: { type: 'integer', default: 30_000, minimum: 100 },
  WEBSOCKET_MAX_CONNECTIONS: { type: 'integer', default: 10_000, minimum: 1 },
};

const EDGE = {
  PUBLIC_URL: { type: 'url', required: true },
  CORS_ORIGIN: { type: 'string' },
  RATE_LIMIT_WINDOW_MS: { type: 'integer', default: 900_000, minimum: 1000 },
  RATE_LIMIT_MAX_REQUESTS: { type: 'integer', default: 100, minimum: 1 },
  HELMET_ENABLED: flag(true),
  HEALTH_CHECK_ENABLED: flag(true),
  DEPLOYMENT_ENVIRONMENT: { type: 'string', default: 'production' },
};

const TRANSITION = {
  LEGACY_TOKEN_SUPPORT: flag(false),
  MIGRATION_MODE: flag(false),
  BACKWARD_COMPATIBILITY: flag(false),
};

/** What version 8 reads from the environment. */
export const DECLARATIONS = {
  ...PROCESS_SETTINGS,
  DATABASE_URL: { type: 'url', required: true },
  REDIS_URL: { type: 'url', required: true },
  ...TOKENS,
  ...FEATURES,
  ...EDGE,
  ...TRANSITION,
  ...providerSettings(PROVIDERS),
};
