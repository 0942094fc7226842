//! Small files that are kept in copies, read so that a writer in the middle of one does no harm.

use super::remark::What;
use engine::framing::FormatFault;
use std::fs;
use std::io;
use std::path::Path;

/// How often a small file is read again when a writer may be in the middle of it.
const LIVE_READS: u32 = 5;

/// Why a small file says nothing.
#[derive(Debug)]
pub enum Unsettled {
    Fault(FormatFault),
    Io(io::Error),
}

impl Unsettled {
    /// What it comes to, and in words.
    pub fn told(self) -> (What, String) {
        match self {
            Self::Fault(fault @ FormatFault::Newer { .. }) => (What::Unreadable, fault.to_string()),
            Self::Fault(fault) => (What::Damage, format!("no copy of it can be read: {fault}")),
            Self::Io(error) => (What::Unreadable, error.to_string()),
        }
    }
}

/// Reads a file in copies; on a live folder again while copies are bad. `None` when there is no such file.
pub fn read_settled<T>(
    path: &Path,
    is_live: bool,
    decode: impl Fn(&[u8]) -> Result<(T, u32), FormatFault>,
) -> Result<Option<(T, u32)>, Unsettled> {
    let mut reads = if is_live { LIVE_READS } else { 1 };
    loop {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Unsettled::Io(error)),
        };
        reads -= 1;
        match decode(&bytes) {
            Ok((_, bad_copies)) if bad_copies > 0 && reads > 0 => {}
            Err(_) if reads > 0 => {}
            settled => return settled.map(Some).map_err(Unsettled::Fault),
        }
    }
}
