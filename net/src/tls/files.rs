//! The files of certificates and keys: what they are called, who may read them, and writing one so that nobody ever
//! reads half of it.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What is trusted: the authority's certificate.
pub const CA: &str = "ca.pem";
pub const CA_KEY: &str = "ca.key";
pub const NODE: &str = "node.pem";
pub const NODE_KEY: &str = "node.key";
pub const USER: &str = "user.pem";
pub const USER_KEY: &str = "user.key";
/// Key and certificates in one, as Java's clients take them (`ssl.keystore.type=PEM`).
pub const USER_KEYSTORE: &str = "keystore.pem";

/// No file of certificates or of a password is longer.
const BYTES_MAX: u64 = 1 << 20;

/// Writes a file that only its owner can read, whole or not at all; one that is there is replaced.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

/// Reads a file that holds no secret.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_all(File::open(path)?)
}

/// Reads a file that holds a secret; one that others may read is refused.
pub fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if let Some(who) = who_else_may_use(&file.metadata()?) {
        let what = format!("{who} may read or change it: chmod 600 {}", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    read_all(file)
}

/// Who beside its owner may read or change a secret. A group may read what belongs to root: so secrets are mounted into
/// containers.
pub fn who_else_may_use(metadata: &Metadata) -> Option<&'static str> {
    let is_roots = metadata.uid() == 0;
    match metadata.mode() {
        mode if mode & 0o007 != 0 => Some("everybody"),
        mode if mode & 0o070 != 0 && !(is_roots && mode & 0o030 == 0) => Some("its group"),
        _ => None,
    }
}

fn read_all(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 1 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_written_is_its_owners_alone_and_replaces_what_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.key");
        write(&path, "one").expect("written");
        write(&path, "two").expect("written again");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(read_secret(&path).expect("read"), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 1, "nothing else is left");
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused_and_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.key");
        write(&path, "secret").expect("written");
        let mode =
            |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        for wrong in [0o644, 0o604, 0o620, 0o602] {
            mode(wrong);
            let error = read_secret(&path).expect_err("refused").to_string();
            assert!(error.contains("chmod 600"), "{wrong:o}: {error}");
            assert_eq!(read(&path).expect("not a secret"), b"secret");
        }
        mode(0o400);
        assert!(read_secret(&path).is_ok());
    }

    #[test]
    fn what_is_endless_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.pem");
        std::fs::write(&path, vec![b'a'; (BYTES_MAX + 1) as usize]).expect("written");
        assert!(read(&path).expect_err("refused").to_string().contains("longer than 1 MiB"));
    }
}
