const LEVELS = { debug: 10, info: 20, warn: 30, error: 40 };

function describe(error) {
  return { name: error.name, message: error.message, code: error.code, stack: error.stack };
}

/**
 * Write one JSON object a line to standard output.
 *
 * @param {{level: string, fields?: object, write?: (line: string) => void}} options `fields` go into every line
 */
export function createLog({ level, fields = {}, write = (line) => process.stdout.write(line) }) {
  const threshold = LEVELS[level];
  const at =
    (name) =>
    (message, details = {}) => {
      if (LEVELS[name] < threshold) return;
      const { error, ...rest } = details;
      const entry = { time: new Date().toISOString(), level: name, message, ...fields, ...rest };
      if (error instanceof Error) entry.error = describe(error);
      write(`${JSON.stringify(entry)}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
