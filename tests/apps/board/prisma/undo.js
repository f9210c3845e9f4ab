// Prisma has no way back of its own: take back the newest migration, in one transaction.
import { readFileSync } from "node:fs";
import pg from "pg";

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
await client.query(readFileSync(new URL("undo.sql", import.meta.url), "utf8"));
await client.end();
