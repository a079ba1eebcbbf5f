//! The type corpus: for every type of the matrix a table of edge values and of random ones, and
//! what readers must make of them.
//!
//! Owns the values and how a server is filled with them. It knows nothing of pgsluice: what a
//! value looks like to a reader, and whether its column can hold it, is said in SQL ([`Shape`]),
//! so that the server is the oracle. Types here have the names that `setup` gives them.

mod arrays;
mod composites;
mod extensions;
mod geometry;
mod networks;
mod numbers;
mod ranges;
mod server;
mod shape;
mod texts;
mod times;

pub(crate) use server::{Corpus, Filled, MAJORS, SCHEMA, distribution_major};
pub(crate) use shape::{Profile, Shape};

/// One type: a table of it is `(id int PRIMARY KEY, v <sql_type>)`, its row 0 NULL.
pub(crate) struct TypeCase {
    /// The table's name, and the dataset's.
    pub(crate) name: &'static str,
    /// The type as a column declares it.
    pub(crate) sql_type: &'static str,
    /// What makes the types, in the database's `public` schema.
    pub(crate) setup: &'static str,
    /// What a server must have.
    pub(crate) needs: &'static [Need],
    /// Edge values as literals.
    pub(crate) edges: &'static [&'static str],
    /// Edge values that are literals only since a major version.
    pub(crate) newer: &'static [(u32, &'static [&'static str])],
    /// Edge values as queries of one column, any number of rows.
    pub(crate) queries: &'static [&'static str],
    /// Why there are fewer than thirty edge values; empty where there are as many.
    pub(crate) few: &'static str,
    /// A random value by the rows' ordinal `i`, from 1.
    pub(crate) random: &'static str,
    /// What is run after the table is filled.
    pub(crate) after: &'static str,
    /// What a reader sees.
    pub(crate) shape: Shape,
    /// The same in the native profile, where it holds other values.
    pub(crate) native: Option<Shape>,
}

/// What a server must have for a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// This major version, or a later one.
    Since(u32),
    /// An extension, which is then created.
    Extension(&'static str),
    /// Built with libxml.
    Xml,
}

/// What most cases leave out.
const PLAIN: TypeCase = TypeCase {
    name: "",
    sql_type: "",
    setup: "",
    needs: &[],
    edges: &[],
    newer: &[],
    queries: &[],
    few: "",
    random: "NULL",
    after: "",
    shape: shape::TEXT,
    native: None,
};

impl TypeCase {
    /// The shape in a profile.
    pub(crate) fn shape_in(&self, profile: Profile) -> &Shape {
        match profile {
            Profile::Native => self.native.as_ref().unwrap_or(&self.shape),
            Profile::Portable => &self.shape,
        }
    }

    /// SQL that tells whether the column cannot hold `v`.
    pub(crate) fn unrepresentable(&self, profile: Profile) -> String {
        self.shape_in(profile).unrepresentable("v")
    }

    /// SQL of the JSON that a reader's view of `v` must equal; NULL where the column holds none.
    pub(crate) fn canonical(&self, profile: Profile) -> String {
        let shown = self.shape_in(profile).canonical("v");
        format!(
            "CASE WHEN NOT ({}) THEN {shown} END",
            self.unrepresentable(profile)
        )
    }
}

/// Every case.
pub(crate) fn all() -> Vec<&'static TypeCase> {
    let families = [
        numbers::CASES,
        times::CASES,
        texts::CASES,
        networks::CASES,
        geometry::CASES,
        arrays::CASES,
        composites::CASES,
        ranges::CASES,
        extensions::CASES,
    ];
    families.into_iter().flatten().collect()
}

#[test]
fn every_case_has_a_name_of_its_own_and_thirty_edges_or_a_reason() {
    let mut names = std::collections::BTreeSet::new();
    for case in all() {
        assert!(names.insert(case.name), "{} twice", case.name);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(case.name.chars().all(plain), "{:?}", case.name);
        if case.few.is_empty() && case.queries.is_empty() {
            let edges = case.edges.len() + case.newer.iter().map(|(_, e)| e.len()).sum::<usize>();
            assert!(edges >= 30, "{}: {edges} edge values", case.name);
        }
    }
}
