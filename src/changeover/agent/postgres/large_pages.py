"""Large objects, hashed page by page: the whole of one may be larger than any value can be.

A page that holds nothing but zeros need not be stored, and is after a restore. So pages are hashed as
they read, filled up with zeros, and those of zeros alone are not counted.
"""

# ruff: noqa: S608 - our own queries

from __future__ import annotations

NAME = "large objects"
PAGES = """
SELECT o.loid, o.pageno, octet_length(o.data) AS length, z.size, z.zeros,
o.data || substr(z.zeros, octet_length(o.data) + 1) AS page
FROM pg_largeobject o CROSS JOIN (SELECT current_setting('block_size')::int / 4 AS size,
decode(repeat('00', current_setting('block_size')::int / 4), 'hex') AS zeros OFFSET 0) z"""
HASHES = f"""
SELECT m.oid, hashtextextended(concat_ws(':', m.oid, p.length, p.content), 0) AS h
FROM pg_largeobject_metadata m LEFT JOIN (
SELECT loid, max(pageno::bigint * size + length) AS length,
sum(hash_array_extended(ARRAY[page], pageno + 1)) FILTER (WHERE page <> zeros) AS content
FROM ({PAGES}) o GROUP BY loid) p ON p.loid = m.oid"""
# As older agents took them, who wrote down the text of a row as well.
WHOLE = """
SELECT oid, hashtextextended(oid::text || ':' || encode(lo_get(oid), 'hex'), 0) AS h
FROM pg_largeobject_metadata"""
SUM = "SELECT count(*) AS rows, coalesce(sum(h), 0)::text AS fingerprint FROM ({}) x"
