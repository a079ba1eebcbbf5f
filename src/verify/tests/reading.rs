//! Every single flipped bit of a small dataset is found.

use super::*;

#[tokio::test]
async fn no_flipped_bit_of_any_file_goes_unseen() {
    let made = Made::sound().await;
    let mut keys: Vec<String> = (1..=5).map(crate::store::layout::log_key).collect();
    keys.extend((0..3).map(|chunk| made.key(chunk)));
    keys.extend(["_pgsluice/manifest.json", "_SUCCESS"].map(str::to_owned));
    let mut flips = 0;
    for key in &keys {
        let sound = made.get(key).await;
        // A prime step meets every part of a file and every bit of a byte.
        for bit in (0..sound.len() * 8).step_by(409) {
            made.bend(key, |bytes| bytes[bit / 8] ^= 1 << (bit % 8))
                .await;
            let verdict = made.verdict().await;
            assert!(verdict.errors() > 0, "{key}, bit {bit}");
            made.root.put(key, sound.clone()).await.unwrap();
            flips += 1;
        }
    }
    assert!(flips > 200, "{flips}");
    assert_eq!(made.verdict().await.findings, []);
}
