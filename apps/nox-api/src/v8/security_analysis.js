import { json } from '../common/application.js';
import { requireScope } from '../common/authentication.js';
import { HttpError } from '../common/http_error.js';
import { WEIGHTS, findSignals, levelOf, weigh } from './threat_signals.js';

const SCOPE = 'security:analyze';
const MODEL_TIMEOUT_MS = 2000;
const CONFIDENTIAL =
  /^(authorization|cookie|set-cookie|password|secret|token|access_token|refresh_token|api_key)$/i;
const ACCOUNT = `
  SELECT u.biometric_enabled,
    (SELECT request_data ->> 'ip' FROM ai_security_logs
     WHERE user_id = u.id ORDER BY created_at DESC, id DESC LIMIT 1) AS previous,
    (SELECT count(*)::int FROM authentication_logs
     WHERE user_id = u.id AND status = 'failure' AND created_at > now() - interval '15 minutes') AS failed
  FROM users u WHERE u.id = $1`;
const KEEP = `
  INSERT INTO ai_security_logs
    (user_id, threat_level, confidence, detected_threats, request_data, analysis_time_ms)
  VALUES ($1, $2, $3, $4, $5, $6)`;
const MARK =
  'UPDATE users SET security_risk_score = $2, last_security_scan = now(), updated_at = now() WHERE id = $1';

function withoutSecrets(value) {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (value === null || typeof value !== 'object') return value;
  const keep = ([name, item]) => [name, CONFIDENTIAL.test(name) ? '[REDACTED]' : withoutSecrets(item)];
  return Object.fromEntries(Object.entries(value).map(keep));
}

/** Ask the scoring service, if there is one, for a score between 0 and 1; without an answer the rule stands alone. */
async function askModel(url, signals, log) {
  if (!url) return 0;
  try {
    const response = await fetch(`${url}/score`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ signals }),
      signal: AbortSignal.timeout(MODEL_TIMEOUT_MS),
    });
    const { score } = await response.json();
    return Number.isFinite(score) ? Math.min(0.99, Math.max(0, score)) : 0;
  } catch (error) {
    log.warn('scoring service does not answer', { error });
    return 0;
  }
}

/**
 * POST /api/ai/security/analyze: score a described request for the account that asks.
 *
 * The score is the rule of `threat_signals.js`, or the scoring service's when that is higher. It is
 * written to `ai_security_logs` and becomes the account's risk score in the same transaction.
 */
export class SecurityAnalysis {
  constructor({ database, settings, notify }) {
    this.database = database;
    this.settings = settings;
    this.notify = notify;
  }

  routes() {
    return [{ method: 'POST', path: '/api/ai/security/analyze', handle: this.handle }];
  }

  async account(userId) {
    const { rows } = await this.database.query(ACCOUNT, [userId], { idempotent: true });
    if (rows.length === 0) throw new HttpError(404, 'unknown_user', 'The account does not exist.');
    const [{ previous, failed, biometric_enabled: biometric }] = rows;
    return {
      previousAddress: previous ?? undefined,
      failedSignIns: failed,
      biometricMissing: this.settings.AI_BIOMETRIC_ENABLED && !biometric,
    };
  }

  async analyze(userId, request, log) {
    const started = process.hrtime.bigint();
    const signals = findSignals(request, await this.account(userId));
    const score = Math.max(weigh(signals), await askModel(this.settings.AI_SECURITY_MODEL_URL, signals, log));
    return {
      score,
      level: levelOf(score, this.settings.AI_THREAT_THRESHOLD),
      threats: signals.map((type) => ({ type, weight: WEIGHTS[type] })),
      milliseconds: Math.round(Number(process.hrtime.bigint() - started) / 1e6),
    };
  }

  keep(userId, request, { level, score, threats, milliseconds }) {
    const row = [
      userId,
      level,
      score,
      JSON.stringify(threats),
      JSON.stringify(withoutSecrets(request)),
      milliseconds,
    ];
    return this.database.transaction(async (query) => {
      await query(KEEP, row);
      await query(MARK, [userId, score]);
    });
  }

  handle = async (exchange) => {
    if (!this.settings.AI_SECURITY_ENABLED) {
      throw new HttpError(404, 'feature_disabled', 'Security analysis is switched off.');
    }
    const { id } = requireScope(exchange, SCOPE);
    const { request_data: request } = await exchange.body();
    if (request === null || typeof request !== 'object' || Array.isArray(request)) {
      throw new HttpError(400, 'invalid_request', 'request_data has to be an object.');
    }
    const found = await this.analyze(id, request, exchange.log);
    await this.keep(id, request, found);
    await this.notify(id, { type: 'security', threat_level: found.level, risk_score: found.score });
    return json({
      threat_level: found.level,
      confidence: found.score,
      risk_score: found.score,
      blocked: found.score >= this.settings.AI_THREAT_THRESHOLD,
      detected_threats: found.threats,
      analysis_time_ms: found.milliseconds,
    });
  };
}
