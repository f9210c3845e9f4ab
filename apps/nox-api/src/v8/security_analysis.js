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
    (SELECT request_data ->> 'ip' FROM ai_security_logs WHERE user_id = u.id ORDER BY created_at DESC, id DESC LIMIT 1) AS previous,
    (SELECT count(*)::int FROM authentication_logs
     WHERE user_id = u.id AND status = 'failure' AND created_at > now() - interval '15 minutes') AS failed
  FROM users u WHERE u.id = $1`;

function withoutSecrets(value) {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      CONFIDENTIAL.test(name) ? '[REDACTED]' : withoutSecrets(item),
    ]),
  );
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
 * Make POST /api/ai/security/analyze: score a described request for the account that asks.
 *
 * The score is the rule of `threat_signals.js`, or the scoring service's when that is higher. It is
 * written to `ai_security_logs` and becomes the account's risk score in the same transaction.
 */
export function securityRoute({ database, settings, notify }) {
  async function knownOf(userId) {
    const { rows } = await database.query(ACCOUNT, [userId], { idempotent: true });
    if (rows.length === 0) throw new HttpError(404, 'unknown_user', 'The account does not exist.');
    const [{ previous, failed, biometric_enabled: biometric }] = rows;
    return {
      previousAddress: previous ?? undefined,
      failedSignIns: failed,
      biometricMissing: settings.AI_BIOMETRIC_ENABLED && !biometric,
    };
  }

  function keep(userId, { level, score, threats, request, milliseconds }) {
    return database.transaction(async (query) => {
      await query(
        `INSERT INTO ai_security_logs (user_id, threat_level, confidence, detected_threats, request_data, analysis_time_ms)
         VALUES ($1, $2, $3, $4, $5, $6)`,
        [userId, level, score, JSON.stringify(threats), JSON.stringify(request), milliseconds],
      );
      await query(
        'UPDATE users SET security_risk_score = $2, last_security_scan = now(), updated_at = now() WHERE id = $1',
        [userId, score],
      );
    });
  }

  async function handle(exchange) {
    if (!settings.AI_SECURITY_ENABLED)
      throw new HttpError(404, 'feature_disabled', 'Security analysis is switched off.');
    const { id } = requireScope(exchange, SCOPE);
    const started = process.hrtime.bigint();
    const { request_data: given } = await exchange.body();
    if (given === null || typeof given !== 'object' || Array.isArray(given)) {
      throw new HttpError(400, 'invalid_request', 'request_data has to be an object.');
    }
    const signals = findSignals(given, await knownOf(id));
    const score = Math.max(
      weigh(signals),
      await askModel(settings.AI_SECURITY_MODEL_URL, signals, exchange.log),
    );
    const level = levelOf(score, settings.AI_THREAT_THRESHOLD);
    const threats = signals.map((type) => ({ type, weight: WEIGHTS[type] }));
    const milliseconds = Math.round(Number(process.hrtime.bigint() - started) / 1e6);
    await keep(id, { level, score, threats, request: withoutSecrets(given), milliseconds });
    await notify(id, { type: 'security', threat_level: level, risk_score: score });
    return json({
      threat_level: level,
      confidence: score,
      risk_score: score,
      blocked: score >= settings.AI_THREAT_THRESHOLD,
      detected_threats: threats,
      analysis_time_ms: milliseconds,
    });
  }
  return { method: 'POST', path: '/api/ai/security/analyze', handle };
}
