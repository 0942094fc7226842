//! The JWKS file: read when the node starts, and again whenever it changes. One that turns bad keeps the keys of before.

use super::token_keys::{TOKEN_KEYS_BYTES_MAX, TokenKeys};
use crate::audit;
use crate::process::refusal::Refusal;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked at, as certificates are.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What tells a file from what it was.
type Stamp = (u64, i64, i64, u64);

pub struct TokenFile {
    path: PathBuf,
    state: Mutex<(Stamp, Arc<TokenKeys>)>,
}

impl TokenFile {
    /// Of `file:///PATH`.
    pub fn open(url: &str) -> Result<Arc<Self>, Refusal> {
        let path = url.strip_prefix("file://").filter(|path| path.starts_with('/')).ok_or_else(|| {
            Refusal::usage(
                format!("sasl.oauthbearer.jwks.endpoint.url={url} is no file"),
                "write file:///PATH: keys are not fetched; have them written there, and they are read again",
            )
        })?;
        let path = PathBuf::from(path);
        let state = read(&path).map_err(|why| {
            Refusal::environment(
                format!("{}: {why}", path.display()),
                "let it hold the issuer's JSON Web Key Set, writable by its owner alone",
            )
        })?;
        Ok(Arc::new(Self { path, state: Mutex::new(state) }))
    }

    pub fn keys(&self) -> Arc<TokenKeys> {
        Arc::clone(&self.state.lock().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Reads it again where it is another one; the error is why it is not taken.
    fn look(&self) -> Result<bool, String> {
        let known = self.state.lock().unwrap_or_else(PoisonError::into_inner).0;
        if std::fs::metadata(&self.path).map(|now| stamp(&now)).ok() == Some(known) {
            return Ok(false);
        }
        let state = read(&self.path)?;
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(true)
    }

    /// Starts a thread that looks at it for as long as anybody else has it.
    pub fn watch(self: &Arc<Self>) -> io::Result<()> {
        let file = Arc::downgrade(self);
        let look_on = move || {
            let mut told = None;
            while let Some(file) = file.upgrade() {
                match file.look() {
                    Ok(true) => {
                        let keys = file.keys().len();
                        audit::tell("token keys", json!({"result": "loaded", "keys": keys}));
                        tracing::info!(keys, "the keys of tokens were read again");
                    }
                    Ok(false) => told = None,
                    Err(why) if told.as_ref() != Some(&why) => {
                        let path = file.path.display();
                        audit::tell("token keys", json!({"result": "refused", "reason": why}));
                        tracing::warn!("{path}: {why}; the keys of before are used");
                        told = Some(why);
                    }
                    Err(_) => {}
                }
                drop(file);
                std::thread::sleep(LOOK_EVERY);
            }
        };
        std::thread::Builder::new().name("token-keys".into()).spawn(look_on).map(drop)
    }
}

fn stamp(metadata: &std::fs::Metadata) -> Stamp {
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len())
}

fn read(path: &Path) -> Result<(Stamp, Arc<TokenKeys>), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    let mode = metadata.mode() & 0o777;
    // Whoever may write it may be anybody.
    if mode & 0o022 != 0 {
        return Err(format!("others than its owner may change it (mode {mode:03o})"));
    }
    let mut text = String::new();
    let bytes_max = TOKEN_KEYS_BYTES_MAX as u64 + 1;
    file.take(bytes_max).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let keys = TokenKeys::parse(&text).map_err(|error| error.to_string())?;
    Ok((stamp(&metadata), Arc::new(keys)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

    fn put(path: &Path, keys: &[&str]) {
        let next = path.with_extension("next");
        std::fs::write(&next, format!(r#"{{"keys":[{}]}}"#, keys.join(","))).expect("written");
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o644)).expect("owned");
        std::fs::rename(&next, path).expect("renamed");
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_a_bad_one_keeps_the_keys_of_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("jwks.json");
        put(&path, &[KEY]);
        let url = format!("file://{}", path.display());
        let file = TokenFile::open(&url).expect("a key");
        assert_eq!((file.look(), file.keys().len()), (Ok(false), 1));
        put(&path, &[KEY, KEY]);
        assert_eq!((file.look(), file.keys().len()), (Ok(true), 2));
        put(&path, &[]);
        assert!(file.look().is_err_and(|why| why.contains("none of its 0 keys")));
        assert_eq!(file.keys().len(), 2);
        std::fs::remove_file(&path).expect("there");
        assert!(file.look().is_err());
        assert_eq!(file.keys().len(), 2);
    }

    #[test]
    fn what_is_no_file_or_may_be_written_by_others_is_refused() {
        let refused = |url: &str| TokenFile::open(url).err().expect("refused").to_string();
        assert!(refused("https://issuer/jwks").contains("is no file"));
        assert!(refused("file://relative").contains("is no file"));
        assert!(refused("file:///nowhere/jwks.json").contains("nowhere"));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("jwks.json");
        put(&path, &[KEY]);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).expect("owned");
        assert!(refused(&format!("file://{}", path.display())).contains("may change it (mode 664)"));
    }
}
