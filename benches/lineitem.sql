-- A table shaped like TPC-H's lineitem, with an id. psql -v rows=6000000 -f benches/lineitem.sql
-- Every value is a function of the row's number: two loads are equal.
\set ON_ERROR_STOP on
\if :{?rows} \else \set rows 6000000 \endif
CREATE OR REPLACE FUNCTION pg_temp.u(i bigint, k int, m bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE AS $$ SELECT (hashint8extended(i, k) & 9223372036854775807) % m $$;
DROP TABLE IF EXISTS lineitem;
CREATE TABLE lineitem (
  id bigint, orderkey bigint, partkey bigint, suppkey bigint, linenumber integer,
  quantity numeric(15,2), extendedprice numeric(15,2), discount numeric(15,2), tax numeric(15,2),
  returnflag char(1), linestatus char(1), shipdate date, commitdate date, receiptdate date,
  shipinstruct char(25), shipmode char(10), comment varchar(44));
INSERT INTO lineitem
SELECT i, i / 4 + 1, pg_temp.u(i,1,200000), pg_temp.u(i,2,10000), i % 4 + 1,
  pg_temp.u(i,3,50) + 1, pg_temp.u(i,4,10000000) * 0.01, pg_temp.u(i,5,11) * 0.01,
  pg_temp.u(i,6,9) * 0.01,
  (ARRAY['A','N','R'])[1 + pg_temp.u(i,7,3)], (ARRAY['O','F'])[1 + pg_temp.u(i,8,2)],
  date '1992-01-01' + pg_temp.u(i,9,2526)::int, date '1992-01-01' + pg_temp.u(i,10,2526)::int,
  date '1992-01-01' + pg_temp.u(i,11,2526)::int,
  (ARRAY['BY HAND','ON DELIVERY','NONE','RETURN IT'])[1 + pg_temp.u(i,12,4)],
  (ARRAY['AIR','RAIL','SHIP','ROAD','POST'])[1 + pg_temp.u(i,13,5)],
  left(string_agg(w, ' '), 10 + pg_temp.u(i,14,34)::int)
FROM generate_series(1::bigint, :rows) i,
  LATERAL (SELECT (ARRAY['stone','river','amber','quiet','north','copper','lantern','meadow','harbour',
    'thistle','winter','sparrow','granite','willow','ember','hollow'])[1 + pg_temp.u(i, 20 + n, 16)] w
    FROM generate_series(1, 8) n) words
GROUP BY i;
ALTER TABLE lineitem ADD PRIMARY KEY (id);
VACUUM (FREEZE, ANALYZE) lineitem;
