// Prisma's engine in WebAssembly, on the driver of node-postgres: no program is downloaded.
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";

const NAME = 19;
const TEXT = 25;

// The catalog's names are of a type that the adapter does not know.
class Pool extends pg.Pool {
  async query(...words) {
    const result = await super.query(...words);
    for (const field of result.fields ?? []) {
      if (field.dataTypeID === NAME) field.dataTypeID = TEXT;
    }
    return result;
  }
}

export default {
  experimental: { adapter: true },
  engine: "js",
  schema: "prisma/schema.prisma",
  adapter: async () => new PrismaPg(new Pool({ connectionString: process.env.DATABASE_URL }), { disposeExternalPool: true }),
};
