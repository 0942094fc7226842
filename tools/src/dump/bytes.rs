//! A segment file's bytes. A sealed one is mapped. One that is still written is read by position:
//! sealing shortens it, and a mapped page beyond a file's end is SIGBUS.

use memmap2::{Advice, Mmap};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub enum SegmentBytes {
    Mapped(Mmap),
    /// The length is that at opening; a later cut makes reads short.
    File {
        file: File,
        bytes: u64,
    },
}

impl SegmentBytes {
    pub fn open(path: &Path, is_sealed: bool) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        if !is_sealed || bytes == 0 {
            return Ok(Self::File { file, bytes });
        }
        // SAFETY: a sealed segment is never written or cut again (deleting it leaves the mapping
        // as it is), so the mapped bytes neither change nor go.
        let map = unsafe { Mmap::map(&file)? };
        // Only a hint: without it reading is slower.
        let _ = map.advise(Advice::Sequential);
        Ok(Self::Mapped(map))
    }

    pub fn len(&self) -> u64 {
        match self {
            Self::Mapped(map) => map.len() as u64,
            Self::File { bytes, .. } => *bytes,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `bytes` at `position`; fewer at the file's end.
    pub fn read(&self, position: u64, bytes: usize) -> io::Result<Cow<'_, [u8]>> {
        let left = usize::try_from(self.len().saturating_sub(position)).unwrap_or(usize::MAX);
        let bytes = bytes.min(left);
        match self {
            Self::Mapped(map) => Ok(Cow::Borrowed(&map[position as usize..][..bytes])),
            Self::File { file, .. } => read_at(file, position, bytes).map(Cow::Owned),
        }
    }
}

fn read_at(file: &File, position: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut content = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(&mut content[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(filled);
    Ok(content)
}

/// Where two files, or parts of them, first differ.
pub fn first_difference(one: &[u8], other: &[u8]) -> Option<u64> {
    let differs = one.iter().zip(other).position(|(one, other)| one != other);
    let shorter = (one.len() != other.len()).then(|| one.len().min(other.len()));
    differs.or(shorter).map(|byte| byte as u64)
}
