//! Modes of files and folders: what the umask leaves, and never more.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{assert_whole, export, small_table};
use crate::rig::{Database, Outcome, TempRoot, pgsluice, run};
use crate::scenario::LIMIT;

/// A user to whom modes mean something: root may do all.
const NOBODY: u32 = 65_534;

/// A place of nobody's, and a program that nobody may run.
struct Place {
    root: TempRoot,
    program: PathBuf,
    is_root: bool,
}

impl Place {
    fn new() -> Self {
        let root = TempRoot::new();
        let is_root = root.path().metadata().expect("a folder").uid() == 0;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(root.path(), open).expect("own folder");
        let program = root.path().join("pgsluice");
        std::fs::copy(pgsluice().get_program(), &program).expect("a copy of the program");
        let data = root.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        if is_root {
            std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        Self {
            root,
            program,
            is_root,
        }
    }

    fn to(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn export(&self, database: &Database, umask: &str) -> Outcome {
        let mut command = Command::new(if self.is_root { "setpriv" } else { "sh" });
        if self.is_root {
            let own = NOBODY.to_string();
            command.args(["--reuid", &own, "--regid", &own, "--clear-groups", "sh"]);
        }
        let plain = pgsluice();
        let set = plain
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        command
            .env_clear()
            .envs(set)
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
            .arg(&self.program);
        export(&mut command, database, &self.to());
        run(&mut command, LIMIT)
    }

    /// The modes of all files, and those of all folders.
    fn modes(&self) -> (BTreeSet<u32>, BTreeSet<u32>) {
        let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
        gather(&self.to(), &mut files, &mut folders);
        (files, folders)
    }
}

fn gather(folder: &Path, files: &mut BTreeSet<u32>, folders: &mut BTreeSet<u32>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let mode = entry.metadata().expect("an entry").mode() & 0o7777;
        if entry.path().is_dir() {
            folders.insert(mode);
            gather(&entry.path(), files, folders);
        } else {
            files.insert(mode);
        }
    }
}

#[test]
fn files_and_folders_have_what_the_umask_leaves() {
    let database = small_table("disk_umask");
    for (umask, file, folder) in [
        ("022", 0o644, 0o755),
        ("077", 0o600, 0o700),
        ("027", 0o640, 0o750),
    ] {
        let place = Place::new();
        place.export(&database, umask).expect_code(0);
        let expected = (BTreeSet::from([file]), BTreeSet::from([folder]));
        assert_eq!(place.modes(), expected, "umask {umask}");
    }
}

#[test]
fn what_is_written_anew_is_no_wider_than_the_umask_of_now() {
    let database = small_table("disk_anew");
    let place = Place::new();
    place.export(&database, "022").expect_code(0);
    let manifest = place.to().join("public/t/_pgsluice/manifest.json");
    let wide = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&manifest, wide).expect("own file");
    std::fs::remove_file(place.to().join("public/t/_SUCCESS")).expect("the marker is there");
    place.export(&database, "077").expect_code(0);
    let (files, _) = place.modes();
    assert!(!files.contains(&0o666), "{files:?}");
    assert_eq!(manifest.metadata().expect("a file").mode() & 0o777, 0o600);
}

#[test]
fn a_umask_that_takes_its_own_rights_is_an_error_with_advice() {
    let database = small_table("disk_own_rights");
    for umask in ["0277", "0777"] {
        let place = Place::new();
        let outcome = place.export(&database, umask).expect_code(2);
        assert!(outcome.stderr.contains("permission denied"), "{outcome}");
        assert!(outcome.stderr.contains("umask"), "{outcome}");
        place.reset();
        place.export(&database, "022").expect_code(0);
        let data = place.to();
        assert_whole(&At(data), umask);
    }
}

impl Place {
    /// What somebody does who reads the advice.
    fn reset(&self) {
        run(
            Command::new("chmod").args(["-R", "u+rwX"]).arg(self.to()),
            LIMIT,
        )
        .expect_code(0);
    }
}

/// A folder that is there already.
struct At(PathBuf);

impl crate::rig::Root for At {
    fn url(&self) -> String {
        self.0.display().to_string()
    }

    fn env(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn store(&self) -> std::sync::Arc<dyn object_store::ObjectStore> {
        let store = object_store::local::LocalFileSystem::new_with_prefix(&self.0);
        std::sync::Arc::new(store.expect("the folder exists"))
    }
}
