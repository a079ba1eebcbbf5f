//! Deletions on a local disk that a power cut does not undo.
//!
//! The store client syncs what it writes, and not what it deletes. A `_SUCCESS` that was withdrawn
//! could then come back beside the parts of a run that did not end: those may lie in other folders
//! (hive), whose syncs say nothing of the one that held the marker. Owns nothing but these syncs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path as FsPath, PathBuf};

use object_store::path::Path;

/// Syncs what held these files, all below `base`, whether they were deleted now or before.
///
/// # Errors
///
/// The disk's: the deletions took effect, and may not last.
pub(super) async fn sync_deletions(base: &str, deleted: &[Path]) -> object_store::Result<()> {
    let base = PathBuf::from(base);
    let files = deleted.iter().map(|path| base.join(path.as_ref()));
    let folders: BTreeSet<PathBuf> = files
        .filter_map(|file| file.parent().map(FsPath::to_path_buf))
        .collect();
    let synced = tokio::task::spawn_blocking(move || sync_folders(&folders)).await?;
    synced
        .map(drop)
        .map_err(|cause| object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(cause),
        })
}

/// Syncs each folder; of one that went with its last file, the one that held it. Which were synced.
fn sync_folders(folders: &BTreeSet<PathBuf>) -> io::Result<BTreeSet<PathBuf>> {
    let mut synced = BTreeSet::new();
    for folder in folders {
        for above in folder.ancestors() {
            if synced.contains(above) {
                break;
            }
            match File::open(above) {
                Ok(open) => {
                    open.sync_all()?;
                    synced.insert(above.to_path_buf());
                    break;
                }
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(cause),
            }
        }
    }
    Ok(synced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_held_a_deleted_file_is_synced_or_else_what_held_that() {
        let root = tempfile::tempdir().unwrap();
        let there = root.path().join("day=1");
        std::fs::create_dir(&there).unwrap();
        let gone = root.path().join("day=2/hour=3");
        let synced = |folders: &[&PathBuf]| {
            sync_folders(&folders.iter().map(|folder| (*folder).clone()).collect()).unwrap()
        };
        assert_eq!(synced(&[&there]), BTreeSet::from([there.clone()]));
        let both = BTreeSet::from([there.clone(), root.path().to_path_buf()]);
        assert_eq!(synced(&[&there, &gone]), both);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_synced_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let below_a_file = Path::parse("file/x/y").unwrap();
        let base = root.path().to_str().unwrap();
        assert!(sync_deletions(base, &[below_a_file]).await.is_err());
    }
}
