const TRUE_WORDS = new Set(['true', '1', 'yes', 'on']);
const FALSE_WORDS = new Set(['false', '0', 'no', 'off']);

const CONVERSIONS = {
  string: (text) => text,
  url: (text) => new URL(text).href.replace(/\/$/, ''),
  boolean: (text) => {
    const word = text.toLowerCase();
    if (TRUE_WORDS.has(word)) return true;
    if (FALSE_WORDS.has(word)) return false;
    throw new Error('is neither true nor false');
  },
  number: (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value)) throw new Error('is not a number');
    return value;
  },
  integer: (text) => {
    if (!/^-?\d+$/.test(text)) throw new Error('is not a whole number');
    return Number(text);
  },
};

/** The environment does not hold what the program needs; `problems` has one sentence a variable. */
export class SettingsInvalid extends Error {
  constructor(problems) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

function readOne(name, declaration, text) {
  let value;
  try {
    value = CONVERSIONS[declaration.type](text);
  } catch (error) {
    // a URL may hold a password, so its text stays out of the sentence
    throw new Error(`${name} ${declaration.type === 'url' ? 'is not a URL' : error.message}`);
  }
  const { minimum, maximum, choices } = declaration;
  if (minimum !== undefined && value < minimum) throw new Error(`${name} is below ${minimum}`);
  if (maximum !== undefined && value > maximum) throw new Error(`${name} is above ${maximum}`);
  if (choices && !choices.includes(value)) throw new Error(`${name} is not one of ${choices.join(', ')}`);
  return value;
}

/**
 * Read typed settings from the environment and name every problem at once.
 *
 * A declaration has a `type`, and either `required: true` or a `default` (absent: `undefined`).
 * An empty variable counts as absent.
 *
 * @param {Record<string, object>} declarations name -> declaration
 * @param {Record<string, string|undefined>} environment
 * @returns {Record<string, string|number|boolean|undefined>}
 */
export function readSettings(declarations, environment = process.env) {
  const settings = {};
  const problems = [];
  for (const [name, declaration] of Object.entries(declarations)) {
    const text = environment[name];
    if (text === undefined || text === '') {
      if (declaration.required) problems.push(`${name} is not set`);
      settings[name] = declaration.default;
      continue;
    }
    try {
      settings[name] = readOne(name, declaration, text);
    } catch (error) {
      problems.push(error.message);
    }
  }
  if (problems.length > 0) throw new SettingsInvalid(problems);
  return settings;
}

/** Variables that every version reads: how the process runs, not what the API does. */
export const PROCESS_SETTINGS = {
  NODE_ENV: { type: 'string', default: 'production', choices: ['production', 'development', 'test'] },
  LOG_LEVEL: { type: 'string', default: 'info', choices: ['debug', 'info', 'warn', 'error'] },
  DATABASE_POOL_SIZE: { type: 'integer', default: 10, minimum: 1, maximum: 100 },
  DATABASE_STATEMENT_TIMEOUT_MS: { type: 'integer', default: 5000, minimum: 100 },
  DRAIN_SECONDS: { type: 'integer', default: 15, minimum: 1, maximum: 300 },
};
