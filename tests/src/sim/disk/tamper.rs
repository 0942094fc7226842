//! What people and other programs do to a data folder while its node is down: files and folders are
//! removed, emptied, cut short, and put in from elsewhere.

use super::file::Change;
use super::{Inode, Node, SimDisk, SimFile};

/// Files and folders as they were, by path.
pub type Copied = Vec<(String, Option<SimFile>)>;

impl SimDisk {
    /// A path and all below it; of the whole folder with an empty path.
    pub fn copy_of(&self, under: &str) -> Copied {
        let paths = self.names.paths_under(under);
        let copied = |(path, node): (String, Node)| match node {
            Node::Folder => (path, None),
            Node::File(inode) => (path, Some(self.files[&inode].clone())),
        };
        paths.into_iter().map(copied).collect()
    }

    /// A path and all below it is gone.
    pub fn remove_all(&mut self, under: &str) {
        for (path, _) in self.names.paths_under(under) {
            self.names.forget(&path);
        }
        self.drop_unnamed();
    }

    /// What was copied is there again, in place of what has its names.
    pub fn put(&mut self, copied: &Copied) {
        for (path, file) in copied {
            self.names.forget(path);
            let node = match file {
                None => Node::Folder,
                Some(file) => {
                    self.next += 1;
                    self.files.insert(Inode(self.next), file.clone());
                    Node::File(Inode(self.next))
                }
            };
            self.names.place(path, node);
        }
        self.drop_unnamed();
    }

    /// A file ends here.
    pub fn cut(&mut self, path: &str, bytes: u64) {
        self.next += 1;
        let id = self.next;
        let file = self.file_mut(path).expect("it is there");
        file.begin(id, Change::Cut(bytes));
        file.complete(id);
        let covers = file.sync_covers();
        file.synced(&covers);
    }
}
