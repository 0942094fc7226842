//! What people and other programs do to a data folder while its node is down: files and folders are
//! removed, emptied, cut short, and put in from elsewhere.

use super::file::Change;
use super::names::is_under;
use super::{Inode, Node, SimDisk, SimFile};
use engine::disk::BLOCK;

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

    /// The files at a path and below it, and how long they are.
    pub fn files_under(&self, under: &str) -> Vec<(String, u64)> {
        let files = self.files().filter(|(path, _)| is_under(path, under));
        files.map(|(path, file)| (path.to_owned(), file.len())).collect()
    }

    /// All files there are empty.
    pub fn empty_all(&mut self, under: &str) {
        self.files_under(under).iter().for_each(|(path, _)| self.cut(path, 0));
    }

    /// All files there end in the middle, at a block.
    pub fn halve_all(&mut self, under: &str) {
        let block = BLOCK as u64;
        self.files_under(under).iter().for_each(|(path, bytes)| self.cut(path, bytes / 2 / block * block));
    }

    /// What another folder has at a path and below it takes the place of what is there.
    pub fn replace_all(&mut self, under: &str, elsewhere: &Copied) {
        self.remove_all(under);
        self.put(&elsewhere.iter().filter(|(path, _)| is_under(path, under)).cloned().collect());
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
