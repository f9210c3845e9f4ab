// Ends with 0 when every step in steps/ is recorded as run, and with 3 when one is left.
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import pg from "pg";

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
const there = await client.query("SELECT to_regclass('pgmigrations') AS found");
const rows = there.rows[0].found ? (await client.query("SELECT name FROM pgmigrations")).rows : [];
await client.end();

const ran = new Set(rows.map((row) => row.name));
const steps = readdirSync(join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "steps"));
const left = steps.map((file) => basename(file, ".cjs")).filter((name) => !ran.has(name));
console.log(left.length ? `left: ${left.join(", ")}` : "nothing is left");
process.exitCode = left.length ? 3 : 0;
