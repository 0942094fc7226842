//! The workspace's Rust files and manifests, as text.

use std::fs;
use std::io;
use std::path::Path;

/// The members, in the order of the manifest at the root.
pub const MEMBERS: [&str; 5] = ["engine", "net", "bench", "tools", "tests"];

/// One Rust file.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
}

impl SourceFile {
    /// The member that the file belongs to.
    pub fn member(&self) -> &str {
        self.path.split('/').next().expect("a split gives one part at least")
    }

    /// A file of tests alone.
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().expect("a split gives one part at least");
        let in_tests = self.path.split('/').skip(1).any(|part| part == "tests" || part == "benches");
        in_tests || name == "tests.rs" || name.ends_with("_tests.rs")
    }

    /// What is built into the product: all before the tests, which stand last in a file.
    pub fn shipped(&self) -> &str {
        let tests = self.text.find("\n#[cfg(test)]\nmod tests {");
        tests.map_or(&self.text[..], |at| &self.text[..=at])
    }

    /// Whether it has tests inside.
    pub fn has_tests(&self) -> bool {
        self.text.contains("#[cfg(test)]\nmod tests {")
    }

    /// Number and text of each line that is not a comment.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pub files: Vec<SourceFile>,
    /// Each member and its Cargo.toml.
    pub manifests: Vec<(String, String)>,
    /// Each text for people and its lines.
    pub documents: Vec<(String, usize)>,
}

impl Source {
    /// Reads the members under `root`.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut source = Self::default();
        let readme = fs::read_to_string(root.join("README.md"))?;
        source.documents.push(("README.md".into(), readme.lines().count()));
        for member in MEMBERS {
            let folder = root.join(member);
            source.manifests.push((member.to_owned(), fs::read_to_string(folder.join("Cargo.toml"))?));
            source.walk(&folder, member)?;
        }
        source.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(source)
    }

    fn walk(&mut self, folder: &Path, path: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{path}/{name}");
            if entry.file_type()?.is_dir() {
                // Build output and the clients' virtual environment are nobody's source.
                if name != "target" && !name.starts_with('.') {
                    self.walk(&entry.path(), &path)?;
                }
            } else if name.ends_with(".rs") {
                self.files.push(SourceFile { path, text: fs::read_to_string(entry.path())? });
            }
        }
        Ok(())
    }
}
