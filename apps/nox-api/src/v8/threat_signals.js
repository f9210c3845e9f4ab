import { isIP } from 'node:net';

const PRIVATE = [
  /^10\./,
  /^127\./,
  /^169\.254\./,
  /^192\.168\./,
  /^172\.(1[6-9]|2\d|3[01])\./,
  /^::1$/,
  /^f[cd]/i,
  /^fe80:/i,
];
const SCANNERS = /sqlmap|nikto|nessus|masscan|zgrab|dirbuster|acunetix|nuclei/i;
const INJECTIONS = {
  'sql-injection':
    /('|")\s*(or|and)\s+['"\d].*=|\bunion\s+(all\s+)?select\b|;\s*(drop|delete|update|insert)\s|\bsleep\s*\(\s*\d/i,
  'script-injection': /<\s*script|javascript:|\bon(error|load|click)\s*=/i,
  'path-traversal': /(\.\.[/\\]){1,}|%2e%2e%2f|\/etc\/passwd/i,
  'command-injection': /\$\([^)]*\)|`[^`]+`|[;&|]\s*(cat|curl|wget|nc|bash|sh)\s/i,
};
const FAILED_SIGN_INS = 5;
const MAX_TEXTS = 200;

/** How much each signal weighs, between 0 and 1. The same table stands in the app's README. */
export const WEIGHTS = {
  'private-address': 0.1,
  'invalid-address': 0.3,
  'address-changed': 0.2,
  'no-user-agent': 0.05,
  'scanner-user-agent': 0.4,
  'sql-injection': 0.6,
  'script-injection': 0.6,
  'path-traversal': 0.6,
  'command-injection': 0.6,
  'failed-sign-ins': 0.4,
  'biometric-missing': 0.1,
};

function texts(value, found = []) {
  if (found.length >= MAX_TEXTS) return found;
  if (typeof value === 'string') found.push(value);
  else if (value && typeof value === 'object') Object.values(value).forEach((item) => texts(item, found));
  return found;
}

function* addressSignals(address, previous) {
  if (address === undefined) return;
  if (!isIP(String(address))) yield 'invalid-address';
  else if (PRIVATE.some((range) => range.test(address))) yield 'private-address';
  if (previous && previous !== address) yield 'address-changed';
}

function* contentSignals(request) {
  const { user_agent: userAgent, ip: _, ...rest } = request;
  if (userAgent === '') yield 'no-user-agent';
  if (typeof userAgent === 'string' && SCANNERS.test(userAgent)) yield 'scanner-user-agent';
  const all = texts(rest);
  for (const [name, pattern] of Object.entries(INJECTIONS)) {
    if (all.some((text) => pattern.test(text))) yield name;
  }
}

/**
 * Find the signals in the described request and in what is known of the account.
 *
 * @param {object} request the `request_data` of the call: ip, user_agent, and whatever was sent
 * @param {{previousAddress?: string, failedSignIns: number, biometricMissing: boolean}} account
 * @returns {string[]} keys of WEIGHTS
 */
export function findSignals(request, account) {
  const found = [...addressSignals(request.ip, account.previousAddress), ...contentSignals(request)];
  if (account.failedSignIns >= FAILED_SIGN_INS) found.push('failed-sign-ins');
  if (account.biometricMissing) found.push('biometric-missing');
  return found;
}

/**
 * Weigh signals: 1 minus the product of (1 - weight), so that each one adds and none goes over 1.
 *
 * @returns {number} between 0 and 0.99, two digits
 */
export function weigh(signals) {
  const free = signals.reduce((rest, signal) => rest * (1 - WEIGHTS[signal]), 1);
  return Math.min(0.99, Math.round((1 - free) * 100) / 100);
}

/** Name the level of a score: critical from 0.9, high from the threshold, medium from half of it. */
export function levelOf(score, threshold) {
  if (score >= 0.9) return 'critical';
  if (score >= threshold) return 'high';
  return score >= threshold / 2 ? 'medium' : 'low';
}
