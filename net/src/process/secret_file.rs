//! Files that hold a secret: for their owner alone, or refused. Whose they may be beside that is `tls::files`'s to say,
//! for these as for keys.

use super::refusal::Refusal;
use crate::tls::files;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// A secret's longest: a longer file is another one.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The first line of a file, without its end; `-` is the standard input.
pub fn first_line(path: &Path) -> Result<String, Refusal> {
    let text = if path == Path::new("-") {
        read(std::io::stdin().lock(), path)?
    } else {
        let named = |error: std::io::Error| {
            Refusal::environment(format!("{}: {error}", path.display()), "name a file that can be read")
        };
        let file = File::open(path).map_err(named)?;
        // Of the open file: what stands at the path may be another one by now.
        check(path, &file.metadata().map_err(named)?)?;
        read(file, path)?
    };
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Refuses a file that others than its owner may read or change.
pub fn check(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
    // What a shell passes as `<(...)` is nobody else's.
    if metadata.file_type().is_fifo() {
        return Ok(());
    }
    let Some(who) = files::who_else_may_use(metadata) else { return Ok(()) };
    let mode = metadata.mode() & 0o777;
    let path = path.display();
    let what = format!("{path} holds a secret, and {who} may read or change it (mode {mode:03o})");
    Err(Refusal::usage(what, format!("chmod 600 {path}")))
}

fn read(from: impl Read, path: &Path) -> Result<String, Refusal> {
    let mut text = String::new();
    let read = from.take(SECRET_BYTES_MAX).read_to_string(&mut text);
    let named =
        |error| Refusal::environment(format!("{}: {error}", path.display()), "it is to hold UTF-8 text");
    read.map_err(named)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, "pass word\nnot this\n").expect("written");
        let with_mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("owned");
            first_line(&path)
        };
        assert_eq!(with_mode(0o600).as_deref(), Ok("pass word"));
        assert_eq!(with_mode(0o400).as_deref(), Ok("pass word"));
        for mode in [0o604, 0o620, 0o660, 0o644] {
            let refused = with_mode(mode).unwrap_err();
            assert!(refused.what.contains("may read or change it"), "{refused}");
            assert!(!refused.to_string().contains("pass word"), "{refused}");
        }
        assert!(first_line(&folder.path().join("none")).is_err());
    }
}
