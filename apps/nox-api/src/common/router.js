import { HttpError } from './http_error.js';

function compile(pattern) {
  const source = pattern
    .split('/')
    .map((part) =>
      part.startsWith(':') ? `(?<${part.slice(1)}>[^/]+)` : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('/');
  return new RegExp(`^${source}$`);
}

/**
 * Find the route of a request among `{method, path, handle}` records; `:name` in a path is a parameter.
 *
 * @throws {HttpError} 404 for an unknown path, 405 (with Allow) for a known path and another method
 */
export function createRouter(routes) {
  const table = routes.map((route) => ({ ...route, expression: compile(route.path) }));
  return (method, path) => {
    const here = table.filter((route) => route.expression.test(path));
    if (here.length === 0) throw new HttpError(404, 'not_found', 'There is nothing at this address.');
    const wanted = method === 'HEAD' ? 'GET' : method;
    const route = here.find((candidate) => candidate.method === wanted);
    if (!route) {
      const allow = [...new Set(here.map((candidate) => candidate.method))].join(', ');
      throw new HttpError(405, 'method_not_allowed', `This address takes ${allow}.`, {
        headers: { Allow: allow },
      });
    }
    return { route, parameters: { ...route.expression.exec(path).groups } };
  };
}
