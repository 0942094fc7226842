//! The audit log's file: only ever appended to, given a number and left behind when it is long enough, and never
//! another process's. A line that was cut short by a crash or a full disk ends where it ends: the next one begins anew.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    file: File,
    length: u64,
    bytes_max: u64,
    /// How many there are beside it, `PATH.1` the newest.
    kept: usize,
    /// What was written last did not end.
    is_torn: bool,
}

impl AuditFile {
    /// Opens it, its folder made if there is none. It is locked for as long as it is open.
    pub fn open(path: &Path, bytes_max: u64, kept: usize) -> io::Result<Self> {
        assert!(bytes_max > 0 && kept > 0, "a file of {bytes_max} bytes, {kept} beside it");
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let (file, length, is_torn) = open(path)?;
        Ok(Self { path: path.to_owned(), file, length, bytes_max, kept, is_torn })
    }

    /// Appends whole lines by one write where the disk takes it.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        debug_assert!(lines.ends_with(b"\n"));
        self.follow()?;
        if self.length > 0 && self.length + lines.len() as u64 > self.bytes_max {
            self.rotate()?;
        }
        let whole;
        let bytes = if self.is_torn {
            whole = [b"\n", lines].concat();
            &whole
        } else {
            lines
        };
        // Whatever comes, what was written before stays: the file is at its end, wherever that is.
        self.is_torn = true;
        let written = self.file.write_all(bytes);
        self.length = self.file.metadata()?.len();
        written?;
        self.is_torn = false;
        Ok(())
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Somebody else moved the file away: the next lines go where it is expected.
    fn follow(&mut self) -> io::Result<()> {
        let own = self.file.metadata()?;
        let there = std::fs::metadata(&self.path).ok().map(|there| (there.dev(), there.ino()));
        if there != Some((own.dev(), own.ino())) {
            (self.file, self.length, self.is_torn) = open(&self.path)?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        for number in (1..self.kept).rev() {
            match std::fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        (self.file, self.length, self.is_torn) = open(&self.path)?;
        Ok(())
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

/// The file, its length, and whether its last line has no end.
fn open(path: &Path) -> io::Result<(File, u64, bool)> {
    let file = OpenOptions::new().append(true).read(true).create(true).mode(0o640).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process writes to it"));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok((file, length, last != [b'\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn it_is_rotated_by_size_and_the_oldest_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("below/audit.log");
        let mut file = AuditFile::open(&path, 10, 2).expect("opened");
        for line in ["11111111\n", "22222222\n", "33333333\n", "44444444\n", "5\n", "longer than all\n"] {
            file.append(line.as_bytes()).expect("written");
        }
        let beside = |number: usize| folder.path().join(format!("below/audit.log.{number}"));
        assert_eq!(read(&path), "longer than all\n");
        assert_eq!(read(&beside(1)), "5\n");
        assert_eq!(read(&beside(2)), "44444444\n");
        assert!(!beside(3).exists());
        drop(file);
        AuditFile::open(&path, 100, 2).expect("opened again").append(b"more\n").expect("written");
        assert_eq!(read(&path), "longer than all\nmore\n", "nothing that was there is written over");
    }

    #[test]
    fn a_line_that_was_cut_short_spoils_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        std::fs::write(&path, "{\"whole\":1}\n{\"cut").expect("written");
        let mut file = AuditFile::open(&path, 1000, 1).expect("opened");
        file.append(b"{\"next\":1}\n").expect("written");
        assert_eq!(read(&path), "{\"whole\":1}\n{\"cut\n{\"next\":1}\n");
    }

    #[test]
    fn it_is_one_processs_alone_and_follows_who_moves_it_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let mut file = AuditFile::open(&path, 1000, 1).expect("opened");
        file.append(b"1\n").expect("written");
        let busy = AuditFile::open(&path, 1000, 1).expect_err("it is open");
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        let moved = folder.path().join("moved");
        std::fs::rename(&path, &moved).expect("moved");
        file.append(b"2\n").expect("written");
        assert_eq!((read(&moved), read(&path)), ("1\n".to_owned(), "2\n".to_owned()));
    }
}
