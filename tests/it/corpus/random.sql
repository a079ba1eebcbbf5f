-- Random values for the corpus, in a schema of their own. All are volatile by default.
CREATE SCHEMA rnd;
CREATE SCHEMA corpus;
-- An integer of a range, both ends included.
CREATE FUNCTION rnd.i(low int8, high int8) RETURNS int8 LANGUAGE sql AS
  $$ SELECT low + floor(random() * (high - low + 1)::float8)::int8 $$;
-- An integer of up to this many bits, of either sign; all magnitudes are as frequent.
CREATE FUNCTION rnd.bits(bits int) RETURNS int8 LANGUAGE sql AS
  $$ SELECT (((rnd.i(0, 4294967295) << 32) | rnd.i(0, 4294967295)) >> (64 - bits + rnd.i(0, bits - 1)::int)) $$;
-- A float of any magnitude below 1e300.
CREATE FUNCTION rnd.f() RETURNS float8 LANGUAGE sql AS
  $$ SELECT (random() - 0.5) * power(10::float8, rnd.i(-300, 300)::float8) $$;
CREATE FUNCTION rnd.f4() RETURNS float4 LANGUAGE sql AS
  $$ SELECT ((random() - 0.5) * power(10::float8, rnd.i(-36, 36)::float8))::float4 $$;
-- A whole number of up to this many digits, of either sign.
CREATE FUNCTION rnd.digits(most int) RETURNS numeric LANGUAGE sql AS
  $$ SELECT (CASE WHEN random() < 0.5 THEN '-' ELSE '' END
     || string_agg(rnd.i(0, 9)::text, ''))::numeric FROM generate_series(1, rnd.i(1, most)) $$;
-- A number of this many digits in all, of which this many stand after the point.
CREATE FUNCTION rnd.n(p int, s int) RETURNS numeric LANGUAGE sql AS
  $$ SELECT rnd.digits(p) * ('1e' || -s)::numeric $$;
-- Text of up to this many characters: ASCII, Latin, Chinese, emoji.
CREATE FUNCTION rnd.t(most int) RETURNS text LANGUAGE sql AS
  $$ SELECT coalesce(string_agg(chr((CASE WHEN random() < 0.7 THEN rnd.i(32, 126)
       WHEN random() < 0.5 THEN rnd.i(161, 591) WHEN random() < 0.5 THEN rnd.i(19968, 40868)
       WHEN random() < 0.5 THEN rnd.i(128512, 128590) ELSE rnd.i(1, 31) END)::int), ''), '')
     FROM generate_series(1, rnd.i(0, most)) $$;
-- A word of lower-case letters.
CREATE FUNCTION rnd.word() RETURNS text LANGUAGE sql AS
  $$ SELECT string_agg(chr(rnd.i(97, 122)::int), '') FROM generate_series(1, rnd.i(1, 9)) $$;
-- Up to this many bytes.
CREATE FUNCTION rnd.b(most int) RETURNS bytea LANGUAGE sql AS
  $$ SELECT coalesce(decode(string_agg(lpad(to_hex(rnd.i(0, 255)), 2, '0'), ''), 'hex'), '')
     FROM generate_series(1, rnd.i(0, most)) $$;
-- A time of about 4700 BC to 290000 AD, one in ten between 1900 and 2100.
CREATE FUNCTION rnd.ts() RETURNS timestamp LANGUAGE sql AS
  $$ SELECT timestamp '1970-01-01' + CASE WHEN random() < 0.9
       THEN rnd.i(-2400000, 106000000) * interval '1 day' ELSE rnd.i(-25000, 47000) * interval '1 day' END
     + rnd.i(0, 86399999999) * interval '1 microsecond' $$;
CREATE FUNCTION rnd.interval() RETURNS interval LANGUAGE sql AS
  $$ SELECT rnd.i(-2000000000, 2000000000) * interval '1 microsecond' * rnd.i(0, 1000000)
     + make_interval(months => rnd.bits(30)::int, days => rnd.bits(30)::int) $$;
-- One of these.
CREATE FUNCTION rnd.pick(anyarray) RETURNS anyelement LANGUAGE sql AS
  $$ SELECT $1[rnd.i(1, cardinality($1))] $$;
-- The value, one time in ten NULL.
CREATE FUNCTION rnd.maybe(anyelement) RETURNS anyelement LANGUAGE sql AS
  $$ SELECT CASE WHEN random() < 0.9 THEN $1 END $$;
-- Floats that points are made of.
CREATE VIEW rnd.numbers(x) AS SELECT unnest(ARRAY['NaN', 'Infinity', '-Infinity', '0', '-0', '0.1',
  '5e-324', '1e300', '-1.7976931348623157e308']::float8[]);
