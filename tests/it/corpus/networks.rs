//! Addresses and bit strings.

use super::{PLAIN, TypeCase};

#[rustfmt::skip]
const INETS: &[&str] = &[
    "0.0.0.0", "255.255.255.255", "127.0.0.1", "10.0.0.1/8", "10.0.0.1/32", "10.0.0.1/0", "0.0.0.0/0",
    "192.168.1.5/24", "192.168.1.0/31", "1.2.3.4/1", "::", "::1", "::/0", "::1/128", "::1/64",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::1", "2001:db8::/32", "2001:0db8:0:0:1:0:0:1",
    "::ffff:1.2.3.4", "::1.2.3.4", "::ffff:0:0", "fe80::1/10", "1::", "1:0:0:2::3", "a:b:c:d:e:f:0:1", "0:0:1::",
    "64:ff9b::192.0.2.33", "ff02::1", "2001:db8:0:1:1:1:1:1", "1:2:3:4:5:6:7::",
];
#[rustfmt::skip]
const CIDRS: &[&str] = &[
    "0.0.0.0/0", "255.255.255.255", "255.255.255.255/32", "127.0.0.1/32", "10.0.0.0/8", "10", "10.1", "10.1.2",
    "192.168.1.0/24", "192.168.0.0/16", "192.168.1.4/30", "128.0.0.0/1", "1.2.3.4", "224.0.0.0/4", "240.0.0.0/5",
    "::/0", "::", "::1", "::1/128", "2001:db8::/32", "2001:db8::/127", "fe80::/10", "ff00::/8", "8000::/1", "1::/16",
    "::ffff:0:0/96", "::ffff:1.2.3.4/128", "::1.2.3.4", "64:ff9b::/96", "2000::/3",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

pub(super) const CASES: &[TypeCase] = &[
    TypeCase {
        name: "inet",
        sql_type: "inet",
        edges: INETS,
        random: "set_masklen(CASE WHEN random() < 0.5 THEN inet '0.0.0.0' + rnd.i(0, 4294967295) \
                 ELSE regexp_replace(md5(random()::text), '(....)(?!$)', '\\1:', 'g')::inet END, rnd.i(0, 32)::int)",
        ..PLAIN
    },
    TypeCase {
        name: "cidr",
        sql_type: "cidr",
        edges: CIDRS,
        random: "network(set_masklen(CASE WHEN random() < 0.5 THEN inet '0.0.0.0' + rnd.i(0, 4294967295) \
                 ELSE regexp_replace(md5(random()::text), '(....)(?!$)', '\\1:', 'g')::inet END, rnd.i(0, 32)::int))",
        ..PLAIN
    },
    TypeCase {
        name: "macaddr",
        sql_type: "macaddr",
        edges: &[
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "08-00-2b-01-02-03",
            "08002b:010203",
            "0800.2b01.0203",
        ],
        queries: &[
            "SELECT lpad(to_hex((1::int8 << n) + 1), 12, '0')::macaddr FROM generate_series(0, 47) n",
        ],
        random: "lpad(to_hex(rnd.bits(62) & 281474976710655), 12, '0')::macaddr",
        ..PLAIN
    },
    TypeCase {
        name: "macaddr8",
        sql_type: "macaddr8",
        edges: &[
            "00:00:00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff:ff:ff",
            "08:00:2b:01:02:03",
        ],
        queries: &[
            "SELECT lpad(to_hex((1::int8 << n) + 1), 16, '0')::macaddr8 FROM generate_series(0, 62) n",
        ],
        random: "lpad(to_hex(rnd.bits(64)), 16, '0')::macaddr8",
        ..PLAIN
    },
    TypeCase {
        name: "bit_11",
        sql_type: "bit(11)",
        queries: &[
            "SELECT (n * 53)::bit(11) FROM generate_series(0, 40) n",
            "SELECT (-1)::bit(11)",
        ],
        random: "rnd.i(0, 2047)::int::bit(11)",
        ..PLAIN
    },
    TypeCase {
        name: "bit_1",
        sql_type: "bit",
        edges: &["0", "1"],
        few: "two values",
        random: "rnd.i(0, 1)::int::bit",
        ..PLAIN
    },
    TypeCase {
        name: "varbit",
        sql_type: "varbit",
        edges: &["", "0", "1"],
        queries: &[
            "SELECT repeat('1', n)::varbit || B'0' FROM generate_series(0, 66) n",
            "SELECT repeat('10', 40000)::varbit",
        ],
        random: "substring(rnd.bits(64)::bit(64)::varbit FROM 1 FOR rnd.i(0, 64)::int)",
        ..PLAIN
    },
];
