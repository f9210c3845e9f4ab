"""A gate in the database: a statement that passes it waits there until the test opens it."""

from __future__ import annotations

ROWS = 3000
HALF = ROWS // 2
# Every statement of the loop sees what was committed before it.
GATE = """
    CREATE TABLE gate (open int);
    CREATE FUNCTION pass() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
        RETURN true;
    END $$;
"""
USERS = f"""
    CREATE TABLE users (id bigint PRIMARY KEY, name text, copied text);
    INSERT INTO users (id, name) SELECT n, 'user ' || n FROM generate_series(1, {ROWS}) AS n;
    CREATE TABLE log (line text);
    {GATE}
"""  # noqa: S608 - the tests' own number
BACKFILL = (
    "-- changeover: batch table=users key=id size=100\n"
    "UPDATE users SET copied = concat(copied, name)"
    f" WHERE id BETWEEN $1 AND $2 AND (id <> {HALF} OR pass())"
)
WAITING = """SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'
    AND application_name = 'changeover migrate work'"""
OPEN = "INSERT INTO gate VALUES (1)"
CLOSE = "DELETE FROM gate"
