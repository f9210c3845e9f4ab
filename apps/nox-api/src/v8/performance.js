import { monitorEventLoopDelay } from 'node:perf_hooks';
import { json } from '../common/application.js';
import { requireUser } from '../common/authentication.js';
import { HttpError } from '../common/http_error.js';

const MAX_METRICS = 20;
const MAX_VALUE = 1e9;
const NAME = /^[A-Za-z][\w.:-]{0,99}$/;
const INSERT = `
  INSERT INTO performance_metrics (session_id, metric_name, metric_value, metric_unit, metadata)
  SELECT $1, name, value, unit, metadata
  FROM jsonb_to_recordset($2) AS given(name text, value numeric, unit text, metadata jsonb)`;
const SUMMARY = `
  SELECT metric_name AS name, max(metric_unit) AS unit, count(*)::int AS count,
         round((percentile_cont(0.50) WITHIN GROUP (ORDER BY metric_value))::numeric, 4)::float8 AS p50,
         round((percentile_cont(0.75) WITHIN GROUP (ORDER BY metric_value))::numeric, 4)::float8 AS p75,
         round((percentile_cont(0.95) WITHIN GROUP (ORDER BY metric_value))::numeric, 4)::float8 AS p95
  FROM performance_metrics
  WHERE recorded_at > now() - make_interval(mins => $1)
  GROUP BY metric_name ORDER BY metric_name`;
const SUMMARY_MINUTES = 60;

function readMetric(given, index) {
  const { name, value, unit = null, metadata = {} } = given ?? {};
  const fits =
    typeof name === 'string' &&
    NAME.test(name) &&
    Number.isFinite(value) &&
    Math.abs(value) <= MAX_VALUE &&
    (unit === null || (typeof unit === 'string' && unit.length <= 20)) &&
    typeof metadata === 'object';
  if (!fits)
    throw new HttpError(
      400,
      'invalid_metric',
      `metrics[${index}] needs a name, a number as value, and a unit of at most 20 letters if any.`,
    );
  return { name, value, unit, metadata: metadata ?? {} };
}

async function store(database, session, metrics) {
  await database.query(INSERT, [session, JSON.stringify(metrics)]);
}

/**
 * Make /api/performance/metrics: POST stores a page's web vitals, GET sums up the last hour.
 *
 * @param {{database: object, vitals: boolean, summary: boolean, bundle: () => object|undefined}} options
 */
export function performanceRoutes({ database, vitals, summary, bundle }) {
  async function post(exchange) {
    if (!vitals) throw new HttpError(404, 'feature_disabled', 'Web vitals are switched off.');
    const { session_id: session = null, metrics } = await exchange.body();
    const named = session === null || (typeof session === 'string' && session.length <= 255);
    if (!named || !Array.isArray(metrics) || metrics.length === 0 || metrics.length > MAX_METRICS) {
      throw new HttpError(
        400,
        'invalid_request',
        `session_id is a text of at most 255 letters and metrics a list of 1 to ${MAX_METRICS}.`,
      );
    }
    await store(database, session, metrics.map(readMetric));
    return json({ status: 'ok', recorded: metrics.length }, 202);
  }

  async function get(exchange) {
    if (!summary) throw new HttpError(404, 'feature_disabled', 'Performance monitoring is switched off.');
    requireUser(exchange);
    const { rows } = await database.query(SUMMARY, [SUMMARY_MINUTES], { idempotent: true });
    const sizes = bundle();
    return json({
      status: 'ok',
      minutes: SUMMARY_MINUTES,
      metrics: rows,
      ...(sizes ? { bundle: sizes } : {}),
    });
  }

  const path = '/api/performance/metrics';
  return [
    { method: 'POST', path, handle: post },
    { method: 'GET', path, handle: get },
  ];
}

/**
 * Store this process's own figures (resident memory, delay of the event loop) again and again.
 *
 * @returns {() => void} stops it
 */
export function startSampling({ database, log, intervalMs, session }) {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const timer = setInterval(async () => {
    const p95 = delay.percentile(95) / 1e6;
    delay.reset();
    const metrics = [
      { name: 'process.memory', value: process.memoryUsage.rss(), unit: 'bytes', metadata: {} },
      { name: 'process.event_loop_delay_p95', value: p95, unit: 'ms', metadata: {} },
    ];
    await store(database, session, metrics).catch((error) => log.warn('figures not stored', { error }));
  }, intervalMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}
