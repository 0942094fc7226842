//! The options of the audit log, and its start.

use super::refusal::Refusal;
use crate::audit::{self, AuditGuard, AuditSettings};
use engine::ids::NodeId;
use serde_json::json;
use std::path::Path;

/// In the data folder, unless told otherwise: a folder of its own, so that it can be another disk.
pub const FOLDER: &str = "audit";
const NAME: &str = "audit.log";
/// Some 200,000 lines.
const BYTES_DEFAULT: u64 = 64 << 20;
/// A thousand lines; less is a mistake, and would spend its time on renaming.
const BYTES_MIN: u64 = 256 << 10;
const FILES_DEFAULT: u16 = 10;
const FILES_MAX: u16 = 1_000;

/// As they were given.
#[derive(Clone, Debug, Default)]
pub struct AuditOptions {
    /// A path, or `off`.
    pub log: Option<String>,
    pub bytes: Option<u64>,
    pub files: Option<u16>,
}

/// None where it is off.
pub fn settings(options: &AuditOptions, data_dir: &Path) -> Result<Option<AuditSettings>, Refusal> {
    let bytes_max = options.bytes.unwrap_or(BYTES_DEFAULT);
    if bytes_max < BYTES_MIN {
        let why = format!("--audit-log-bytes {bytes_max} is less than {BYTES_MIN}");
        return Err(Refusal::usage(why, "use such as 64MiB"));
    }
    let files = options.files.unwrap_or(FILES_DEFAULT);
    if !(2..=FILES_MAX).contains(&files) {
        let why =
            format!("--audit-log-files {files}: 2 to {FILES_MAX} can be kept, the one written to included");
        return Err(Refusal::usage(why, "use such as 10"));
    }
    let path = match options.log.as_deref() {
        Some("off") => return Ok(None),
        Some("" | "on") => {
            return Err(Refusal::usage("--audit-log names no file", "name a file, or give 'off'"));
        }
        Some(path) => path.into(),
        None => data_dir.join(FOLDER).join(NAME),
    };
    Ok(Some(AuditSettings { path, bytes_max, kept: usize::from(files) - 1 }))
}

/// Opens it and says that the node begins.
pub fn start(settings: &AuditSettings, node: NodeId) -> Result<AuditGuard, Refusal> {
    let guard = audit::start(settings, node.0).map_err(|error| {
        let what = format!("audit log {}: {error}", settings.path.display());
        Refusal::environment(what, "give --audit-log a file that this user may append to, or 'off'")
    })?;
    let fields = json!({"version": env!("CARGO_PKG_VERSION"), "process": std::process::id()});
    audit::tell("node started", fields);
    Ok(guard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_the_data_folder_unless_it_is_elsewhere_or_off() {
        let of = |log: Option<&str>, bytes, files| {
            let options = AuditOptions { log: log.map(str::to_owned), bytes, files };
            settings(&options, Path::new("/d"))
        };
        let default = of(None, None, None).expect("good").expect("on");
        assert_eq!((default.path.as_path(), default.kept), (Path::new("/d/audit/audit.log"), 9));
        assert_eq!(of(Some("off"), None, None), Ok(None));
        assert_eq!(of(Some("/a"), None, None).expect("good").expect("on").path, Path::new("/a"));
        for wrong in [of(Some("on"), None, None), of(None, Some(1), None), of(None, None, Some(1))] {
            assert!(wrong.expect_err("refused").what.starts_with("--audit-log"));
        }
    }
}
