//! Single flipped bits, over every file of a dataset: each one is found.

use std::path::Path;

use pgsluice::{VerifyOptions, VerifyProgress};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// Flips of a usual run; the variable of this name takes its place.
const FLIPS: &str = "PGSLUICE_FLIPS";
const DEFAULT_FLIPS: u32 = 600;

/// The findings that break a guarantee, through the library.
async fn errors_at(root: &pgsluice::Root) -> u64 {
    let options = VerifyOptions::default();
    let report = pgsluice::verify(root, &options, &VerifyProgress::new()).await;
    let report = report.expect("a report, whatever is damaged");
    report
        .datasets
        .iter()
        .map(pgsluice::DatasetVerdict::errors)
        .sum()
}

/// Every file that a reader or a resumed run relies on: all but the lease.
fn files(root: &TempRoot) -> Vec<String> {
    let keys = root.list("").into_keys();
    keys.filter(|key| !key.ends_with("lease.json")).collect()
}

fn flip(path: &Path, bit: usize) {
    let mut bytes = std::fs::read(path).expect("a file");
    bytes[bit / 8] ^= 1 << (bit % 8);
    std::fs::write(path, bytes).expect("a written file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flipped_bit_goes_unseen() {
    let flips = std::env::var(FLIPS).ok();
    let flips = flips.map_or(DEFAULT_FLIPS, |text| text.parse().expect("a number"));
    let database = Database::create("verify_flips");
    database.execute(
        "CREATE TABLE orders (id bigint PRIMARY KEY, note text, amount int);
         INSERT INTO orders SELECT i, CASE WHEN i % 3 > 0 THEN 'note ' || i END, i % 100
             FROM generate_series(1, 200) i;
         ANALYZE orders",
    );
    let folder = TempRoot::new();
    export(
        &database,
        "orders",
        &folder,
        &["--chunk-by", "key:id", "--chunk-rows", "50"],
    );
    let root = pgsluice::Root::open(&folder.url(), &[]).expect("a folder");
    assert_eq!(errors_at(&root).await, 0);
    let files = files(&folder);
    assert!(files.len() >= 8, "{files:?}");
    let mut random = StdRng::seed_from_u64(0x51_1c_e5);
    for number in 0..flips {
        let key = &files[random.random_range(0..files.len())];
        let path = folder.path().join(key);
        let bits = std::fs::metadata(&path).expect("a file").len() as usize * 8;
        let bit = random.random_range(0..bits);
        flip(&path, bit);
        assert!(
            errors_at(&root).await > 0,
            "flip {number}: {key}, bit {bit}"
        );
        flip(&path, bit);
    }
    assert_eq!(errors_at(&root).await, 0, "all flips were undone");
}
