// Tells whether it lives, and how many posts there are.
import { createServer } from "node:http";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 2 });
const answers = {
  "/health": async () => ({ status: "ok", version: process.env.RELEASE_VERSION }),
  "/posts": async () => ({ posts: (await pool.query("SELECT count(*)::int AS n FROM posts")).rows[0].n }),
};

const server = createServer(async (request, response) => {
  const answer = answers[request.url];
  response.writeHead(answer ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify(answer ? await answer() : { error: "not_found" }));
});
server.listen(`${process.env.SOCKET_DIRECTORY}/http.sock`);
process.on("SIGTERM", () => server.close(() => pool.end()));
