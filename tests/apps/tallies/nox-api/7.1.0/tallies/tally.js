// A task for tests: counts how often it was begun and ended, by name; waits at a gate, or ends as it is told to.
import { parseArgs } from "node:util";
import pg from "pg";

const { values } = parseArgs({
  options: {
    name: { type: "string" },
    gate: { type: "string", default: "false" },
    exit: { type: "string", default: "0" },
    dry: { type: "boolean", default: false },
    undo: { type: "boolean", default: false },
  },
});
const BEGIN = `INSERT INTO tallies (name, begun) VALUES ($1, 1)
  ON CONFLICT (name) DO UPDATE SET begun = tallies.begun + 1`;
const open = async () => (await client.query("SELECT FROM tally_gate")).rowCount > 0;
const tell = (facts) => console.log(JSON.stringify(facts));
const client = new pg.Client({ connectionString: process.env.DB_URL });
await client.connect();

if (values.dry) {
  const { rows } = await client.query("SELECT count(*)::int AS known FROM tallies WHERE name = $1", [values.name]);
  tell({ would: values.name, known: rows[0].known });
} else if (values.undo) {
  await client.query("DELETE FROM tallies WHERE name = $1", [values.name]);
  tell({ undone: values.name });
  process.exitCode = Number(values.exit) === 9 ? 9 : 0;
} else {
  await client.query(BEGIN, [values.name]);
  tell({ done: 1, total: 2 });
  console.log(`as ${process.env.DB_URL}`);
  while (values.gate === "true" && !(await open())) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // 9 is for its undo alone; with 75 it stops half way as long as the gate is shut.
  if (["0", "9"].includes(values.exit) || (values.exit === "75" && (await open()))) {
    await client.query("UPDATE tallies SET ended = ended + 1 WHERE name = $1", [values.name]);
    tell({ done: 2, total: 2 });
    tell({ tallied: values.name });
  } else {
    process.exitCode = Number(values.exit);
    console.log(`told to end with ${values.exit}`);
  }
}
await client.end();
