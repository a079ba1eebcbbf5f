-- A small shop: a million rows over four tables, the same on every run.
BEGIN;

CREATE TYPE order_status AS ENUM ('new', 'paid', 'sent', 'returned');

CREATE TABLE customers (
    id bigint PRIMARY KEY,
    email text NOT NULL,
    name varchar(80) NOT NULL,
    country char(2) NOT NULL,
    born date,
    newsletter boolean NOT NULL,
    settings jsonb NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE products (
    id integer PRIMARY KEY,
    sku uuid NOT NULL,
    title text NOT NULL,
    price numeric(10, 2) NOT NULL,
    weight_kg double precision,
    thumbnail bytea
);

CREATE TABLE orders (
    id bigint PRIMARY KEY,
    customer_id bigint NOT NULL,
    status order_status NOT NULL,
    total numeric(12, 2) NOT NULL,
    note text,
    placed_at timestamptz NOT NULL
);

-- No key of one column, and rows in no order: this one is cut by heap pages.
CREATE TABLE order_items (
    order_id bigint NOT NULL,
    line smallint NOT NULL,
    product_id integer NOT NULL,
    quantity integer NOT NULL,
    price numeric(10, 2) NOT NULL,
    PRIMARY KEY (order_id, line)
);

-- A number in [0, below) that looks random and is the same on every run.
CREATE FUNCTION pick(seed bigint, below bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT (hashint8extended(seed, 42) & 9223372036854775807) % below';

INSERT INTO customers
SELECT i,
    'customer' || i || '@example.com',
    (ARRAY['Ada', 'Bjørn', 'Chloé', 'Dmitrij', 'Emre', 'Fatou', '源', 'Zoë'])[1 + pick(i, 8)]
        || ' ' || initcap(substr(md5(i::text), 1, 8)),
    (ARRAY['DE', 'FR', 'GB', 'JP', 'NO', 'SN', 'TR', 'US'])[1 + pick(i + 1, 8)],
    CASE WHEN pick(i + 2, 10) > 0 THEN date '1940-01-01' + pick(i + 3, 25000)::int END,
    pick(i + 4, 3) = 0,
    jsonb_build_object('theme', (ARRAY['dark', 'light'])[1 + pick(i + 5, 2)], 'visits', pick(i, 500)),
    timestamptz '2019-01-01 00:00:00+00' + pick(i + 6, 200000000) * interval '1 second'
FROM generate_series(1, 60000) AS i;

INSERT INTO products
SELECT i,
    md5('product' || i)::uuid,
    'Product ' || i,
    pick(i, 50000) / 100.0 + 1,
    CASE WHEN pick(i + 1, 5) > 0 THEN pick(i + 2, 40000) / 1000.0 END,
    CASE WHEN pick(i + 3, 2) = 0 THEN decode(md5(i::text), 'hex') END
FROM generate_series(1, 4000) AS i;

INSERT INTO orders
SELECT i,
    1 + pick(i, 60000),
    (enum_range(NULL::order_status))[1 + pick(i + 1, 4)],
    pick(i + 2, 100000000) / 100.0,
    CASE WHEN pick(i + 3, 6) = 0 THEN 'Leave it at the door, number ' || pick(i, 99) END,
    timestamptz '2020-01-01 00:00:00+00' + i * interval '637.5 seconds'
FROM generate_series(1, 286000) AS i;

INSERT INTO order_items
SELECT 1 + i % 286000, i / 286000, 1 + pick(i, 4000), 1 + pick(i + 1, 9), pick(i + 2, 50000) / 100.0
FROM generate_series(0, 649999) AS i
ORDER BY pick(i, 1000000);

COMMIT;

VACUUM ANALYZE;
