//! The file of met nodes: the other members of the cluster and where they are, as the metadata named them last. A node
//! that was alone knows by it at its next start that it is not any more, and one that came later whom to call. The
//! metadata is the truth; this is how to get to it.

use crate::process::address::Address;
use engine::ids::NodeId;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// The file's name in the data folder.
pub const MET_NODES: &str = "members";
/// While it is written.
pub const MET_NODES_TEMPORARY: &str = "members.tmp";
/// The first line: what it is, and its version.
const HEAD: &str = "duramen members 1";
/// 160 members with the longest names.
const BYTES_MAX: u64 = 64 << 10;

pub type MetNodes = BTreeMap<NodeId, Address>;

/// What is there; none where there is no such file.
pub fn read(folder: &Path) -> io::Result<Option<MetNodes>> {
    let path = folder.join(MET_NODES);
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(meta) if meta.len() > BYTES_MAX => return Err(damaged("it is too long")),
        Ok(_) => {}
    }
    parse(&fs::read_to_string(path)?).map(Some)
}

/// Writes the file anew: durable once this returns.
pub fn write(folder: &Path, nodes: &MetNodes) -> io::Result<()> {
    let (temporary, path) = (folder.join(MET_NODES_TEMPORARY), folder.join(MET_NODES));
    let text = format(nodes);
    assert!(text.len() as u64 <= BYTES_MAX, "{} members in {} bytes", nodes.len(), text.len());
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    File::open(folder)?.sync_all()
}

fn format(nodes: &MetNodes) -> String {
    let mut text = format!("{HEAD}\n");
    for (node, address) in nodes {
        writeln!(text, "{node}={address}").expect("a text takes it");
    }
    let checksum = crc32c::crc32c(text.as_bytes());
    writeln!(text, "crc32c={checksum:08x}").expect("a text takes it");
    text
}

fn parse(text: &str) -> io::Result<MetNodes> {
    let (head, checksum) =
        text.trim_end().rsplit_once("crc32c=").ok_or_else(|| damaged("it has no checksum"))?;
    let found = crc32c::crc32c(head.as_bytes());
    if u32::from_str_radix(checksum, 16) != Ok(found) {
        return Err(damaged("its checksum is wrong"));
    }
    let mut lines = head.lines();
    if lines.next() != Some(HEAD) {
        return Err(damaged("a newer version wrote it"));
    }
    let member = |line: &str| {
        let (node, at) = line.split_once('=')?;
        Some((NodeId(node.parse().ok()?), Address::parse("members", at).ok()?))
    };
    lines.map(|line| member(line).ok_or_else(|| damaged("a line names no member"))).collect()
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> MetNodes {
        let at = |host: &str, port| Address { host: host.to_owned(), port };
        [(NodeId(0), at("::1", 9192)), (NodeId(12), at("twelve", 9))].into()
    }

    #[test]
    fn what_was_written_is_read_and_the_last_one_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read(folder.path()).expect("no file"), None);
        write(folder.path(), &MetNodes::new()).expect("written");
        assert_eq!(read(folder.path()).expect("read"), Some(MetNodes::new()));
        write(folder.path(), &nodes()).expect("written");
        assert_eq!(read(folder.path()).expect("read"), Some(nodes()));
        let text = fs::read_to_string(folder.path().join(MET_NODES)).expect("a text");
        assert!(text.starts_with("duramen members 1\n0=[::1]:9192\n12=twelve:9\ncrc32c="), "{text}");
    }

    #[test]
    fn a_damaged_or_a_newer_file_is_told() {
        let text = format(&nodes());
        assert!(parse(&text).is_ok());
        for (from, to) in [("9192", "9193"), ("members 1", "members 2"), ("crc32c=", "")] {
            assert!(parse(&text.replace(from, to)).is_err(), "{from}");
        }
        let newer = "duramen members 2\n";
        let newer = format!("{newer}crc32c={:08x}\n", crc32c::crc32c(newer.as_bytes()));
        assert!(parse(&newer).expect_err("newer").to_string().contains("newer"));
    }
}
