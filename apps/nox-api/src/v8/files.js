import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'public', 'v8');
const TYPES = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.html': 'text/html; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
};
// files below /static/ never change under one name; the SDK keeps its name, so it is asked for again
const CACHING = { '/static/': 'public, max-age=31536000, immutable', '/js/': 'public, max-age=300' };

async function walk(folder, prefix = '') {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries.map((entry) =>
      entry.isDirectory()
        ? walk(join(folder, entry.name), `${prefix}${entry.name}/`)
        : [`${prefix}${entry.name}`],
    ),
  );
  return found.flat();
}

async function load(name) {
  const body = await readFile(join(ROOT, name));
  const path = `/${name}`;
  const caching = Object.entries(CACHING).find(([prefix]) => path.startsWith(prefix))?.[1] ?? 'no-cache';
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return {
    path,
    body,
    headers: {
      'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream',
      'Cache-Control': caching,
      ETag: etag,
    },
  };
}

function fileRoute(path, { body, headers }) {
  const handle = async (exchange) =>
    exchange.request.headers['if-none-match'] === headers.ETag
      ? { status: 304, headers }
      : { status: 200, headers, body };
  return { method: 'GET', path, handle };
}

/**
 * Read the public files once and make a route for each; the page answers at `/` and `/callback`.
 *
 * @returns {Promise<{routes: object[], sizes: Record<string, number>}>}
 */
export async function publicFiles() {
  const files = await Promise.all((await walk(ROOT)).map(load));
  const page = files.find((file) => file.path === '/index.html');
  const routes = files.map((file) => fileRoute(file.path, file));
  for (const path of ['/', '/callback']) routes.push(fileRoute(path, page));
  return { routes, sizes: Object.fromEntries(files.map((file) => [file.path, file.body.length])) };
}
