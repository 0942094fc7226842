//! A small file system of its own: a file, ext4 in it, mounted through a loop device.

use super::broker::test_folder;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Mounted while it lives.
#[derive(Debug)]
pub struct SmallDisk {
    mount: PathBuf,
    _folder: TempDir,
}

impl SmallDisk {
    /// None, with a word on stderr, where mounting is not permitted.
    pub fn mount(test: &str, mib: u64) -> Option<Self> {
        let folder = test_folder();
        let (image, mount) = (folder.path().join("disk.img"), folder.path().join("disk"));
        std::fs::create_dir(&mount).expect("a folder to mount on");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(mib << 20).expect("its length");
        let (image, mount_text) = (image.to_str().expect("utf-8"), mount.to_str().expect("utf-8"));
        let made = run("mkfs.ext4", &["-q", "-F", "-m", "0", image])
            .and_then(|()| run("mount", &["-o", "loop", image, mount_text]));
        match made {
            Ok(()) => Some(Self { mount, _folder: folder }),
            Err(why) if std::env::var_os("DURAMEN_TESTS_REQUIRE_MOUNT").is_some() => panic!("{test}: {why}"),
            Err(why) => skip_where_not_permitted(test, &why),
        }
    }

    pub fn path(&self) -> &Path {
        &self.mount
    }
}

/// Mounting needs root: a gate without it says so and goes on, as the issue allows.
fn skip_where_not_permitted<T>(test: &str, why: &str) -> Option<T> {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no small disk can be mounted here: {why}");
    None
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(why) = run("umount", &[self.mount.to_str().expect("utf-8")]) {
            eprintln!("{}: {why}", self.mount.display());
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    // Debian keeps mkfs where a user's PATH does not look.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
