//! The simulated folder tree: what programs see, what is durable, and the changes between.
//!
//! A change of a name is durable once its folder was synced after it completed. In a power cut
//! each change that is not durable is kept or lost for itself; a rename is atomic. Changes of one
//! name are kept in their order: the later is not there without the earlier.

use engine::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// A file's number within the disk, independent of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    Folder,
    File(Inode),
}

#[derive(Clone, Debug)]
enum NameChange {
    Link { path: String, node: Node },
    Unlink { path: String, node: Node },
    Rename { from: String, to: String, node: Node },
}

impl NameChange {
    /// The names that it changes.
    fn names(&self) -> impl Iterator<Item = &str> {
        let (one, other) = match self {
            Self::Link { path, .. } | Self::Unlink { path, .. } => (path, None),
            Self::Rename { from, to, .. } => (from, Some(to)),
        };
        core::iter::once(one.as_str()).chain(other.map(String::as_str))
    }
}

/// The whole tree, by path from the data folder (which itself is not in it).
#[derive(Default)]
pub struct Names {
    seen: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    changes: Vec<(u64, NameChange)>,
    next_change: u64,
}

impl Names {
    pub fn get(&self, path: &str) -> Option<Node> {
        self.seen.get(path).copied()
    }

    pub fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || self.get(path) == Some(Node::Folder)
    }

    pub fn link(&mut self, path: &str, node: Node) {
        assert!(self.is_folder(parent(path)), "{path}: its folder is not there");
        self.change(NameChange::Link { path: path.to_owned(), node });
    }

    pub fn unlink(&mut self, path: &str) {
        let node = self.get(path).expect("checked by the caller");
        self.change(NameChange::Unlink { path: path.to_owned(), node });
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        let node = self.get(from).expect("checked by the caller");
        assert!(self.is_folder(parent(to)), "{to}: its folder is not there");
        self.change(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), node });
    }

    /// A path and all below it, folders first.
    pub fn paths_under(&self, under: &str) -> Vec<(String, Node)> {
        self.seen
            .iter()
            .filter(|(path, _)| is_under(path, under))
            .map(|(path, node)| (path.clone(), *node))
            .collect()
    }

    /// A name is there, or is not, durably: nobody is at work here.
    pub fn place(&mut self, path: &str, node: Node) {
        assert!(self.changes.is_empty(), "a change is under way");
        self.seen.insert(path.to_owned(), node);
        self.durable.insert(path.to_owned(), node);
    }

    pub fn forget(&mut self, path: &str) {
        assert!(self.changes.is_empty(), "a change is under way");
        self.seen.remove(path);
        self.durable.remove(path);
    }

    fn change(&mut self, change: NameChange) {
        apply(&mut self.seen, &change);
        self.next_change += 1;
        self.changes.push((self.next_change, change));
    }

    /// The names in a folder, sorted.
    pub fn list(&self, folder: &str) -> Vec<(String, Node)> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.seen
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix))
            .filter(|(path, _)| !path[prefix.len()..].contains('/'))
            .map(|(path, node)| (path[prefix.len()..].to_owned(), *node))
            .collect()
    }

    /// Every file there is, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, Inode)> {
        self.seen.iter().filter_map(|(path, node)| match node {
            Node::File(inode) => Some((path.as_str(), *inode)),
            Node::Folder => None,
        })
    }

    /// Every file that a name leads to or, after a power cut, may lead to.
    pub fn durable_files(&self) -> impl Iterator<Item = Inode> {
        let of_node = |node: &Node| match node {
            Node::File(inode) => Some(*inode),
            Node::Folder => None,
        };
        let changed = self.changes.iter().map(|(_, change)| match change {
            NameChange::Link { node, .. }
            | NameChange::Unlink { node, .. }
            | NameChange::Rename { node, .. } => node,
        });
        self.durable.values().chain(changed).filter_map(of_node)
    }

    /// Whether a name like that leads to the file, and will after a power cut.
    pub fn has_durable(&self, inode: Inode, is_like: impl Fn(&str) -> bool) -> bool {
        self.durable.iter().any(|(path, node)| *node == Node::File(inode) && is_like(path))
    }

    /// What a sync of the folder that is issued now will make durable.
    pub fn sync_covers(&self, folder: &str) -> Vec<u64> {
        let of_folder = |change: &NameChange| match change {
            NameChange::Link { path, .. } | NameChange::Unlink { path, .. } => parent(path) == folder,
            NameChange::Rename { from, to, .. } => parent(from) == folder || parent(to) == folder,
        };
        let mut needed = BTreeSet::new();
        let mut covers = Vec::new();
        for (id, change) in self.changes.iter().rev() {
            if of_folder(change) || change.names().any(|name| needed.contains(name)) {
                needed.extend(change.names());
                covers.push(*id);
            }
        }
        covers
    }

    pub fn synced(&mut self, covers: &[u64]) {
        let changes = std::mem::take(&mut self.changes);
        for (id, change) in changes {
            if covers.contains(&id) {
                apply(&mut self.durable, &change);
            } else {
                self.changes.push((id, change));
            }
        }
    }

    /// The power fails. Gives how many changes were lost.
    pub fn power_cut(&mut self, rng: &mut Rng) -> u64 {
        let mut lost = 0;
        // One coin for the whole cut makes "all lost" and "all kept" likely.
        let mood = rng.below(3);
        let mut lost_names = BTreeSet::new();
        for (_, change) in std::mem::take(&mut self.changes) {
            let follows_lost = change.names().any(|name| lost_names.contains(name));
            if mood == 0 || mood == 1 && rng.one_in(2) || follows_lost {
                lost_names.extend(change.names().map(str::to_owned));
                lost += 1;
            } else {
                apply(&mut self.durable, &change);
            }
        }
        self.drop_orphans();
        self.seen = self.durable.clone();
        lost
    }

    /// What lies in a folder whose own name was lost is gone.
    fn drop_orphans(&mut self) {
        let mut kept: BTreeMap<String, Node> = BTreeMap::new();
        // Sorted by path, a folder comes before what lies in it.
        for (path, node) in &self.durable {
            let folder = parent(path);
            if folder.is_empty() || kept.get(folder) == Some(&Node::Folder) {
                kept.insert(path.clone(), *node);
            }
        }
        self.durable = kept;
    }
}

fn apply(names: &mut BTreeMap<String, Node>, change: &NameChange) {
    match change {
        NameChange::Link { path, node } => {
            names.insert(path.clone(), *node);
        }
        NameChange::Unlink { path, node } => {
            if names.get(path) == Some(node) {
                names.remove(path);
            }
        }
        NameChange::Rename { from, to, node } => {
            if names.get(from) == Some(node) {
                names.remove(from);
            }
            names.insert(to.clone(), *node);
        }
    }
}

/// At this path, or below it; all is below the empty one.
pub fn is_under(path: &str, under: &str) -> bool {
    under.is_empty() || path == under || path.strip_prefix(under).is_some_and(|rest| rest.starts_with('/'))
}

/// The folder that a path lies in; empty for the data folder itself.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u64) -> Node {
        Node::File(Inode(number))
    }

    #[test]
    fn a_later_change_of_a_name_is_never_there_without_the_earlier() {
        for seed in 0..50 {
            let mut names = Names::default();
            names.link("d", Node::Folder);
            names.link("q", Node::Folder);
            names.link("d/new", file(1));
            names.synced(&[1, 2, 3]);
            names.rename("d/new", "d/1");
            names.rename("d/1", "q/1");
            if seed % 2 == 0 {
                let covers = names.sync_covers("q");
                names.synced(&covers);
                let covers = names.sync_covers("d");
                names.synced(&covers);
            }
            names.power_cut(&mut Rng::new(seed));
            let files: Vec<_> = names.files().map(|(path, _)| path).collect();
            assert!(["d/new", "d/1", "q/1"].iter().any(|name| files == [*name]), "{files:?}");
            assert!(seed % 2 == 1 || files == ["q/1"], "{files:?}");
        }
    }

    #[test]
    fn an_unsynced_rename_may_be_lost_and_is_atomic() {
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let mut names = Names::default();
            names.link("old", file(1));
            names.link("new", file(2));
            names.synced(&names.sync_covers(""));
            names.rename("new", "old");
            names.power_cut(&mut Rng::new(seed));
            outcomes.insert(format!("{:?}", names.list("")));
        }
        let renamed = format!("{:?}", [("old".to_owned(), file(2))]);
        let before = format!("{:?}", [("new".to_owned(), file(2)), ("old".to_owned(), file(1))]);
        assert_eq!(outcomes, [renamed, before].into());
    }

    #[test]
    fn a_synced_name_stays_and_a_sync_covers_only_its_folder() {
        let mut lost = 0;
        for seed in 0..64 {
            let mut names = Names::default();
            names.link("a", Node::Folder);
            names.synced(&names.sync_covers(""));
            names.link("a/1", file(1));
            names.link("2", file(2));
            names.synced(&names.sync_covers("a"));
            names.power_cut(&mut Rng::new(seed));
            assert_eq!(names.get("a/1"), Some(file(1)));
            lost += u64::from(names.get("2").is_none());
        }
        assert!((1..64).contains(&lost), "{lost}");
    }

    #[test]
    fn what_lies_in_a_lost_folder_is_lost() {
        for seed in 0..64 {
            let mut names = Names::default();
            names.link("a", Node::Folder);
            names.link("a/1", file(1));
            names.synced(&names.sync_covers("a"));
            names.power_cut(&mut Rng::new(seed));
            assert!(names.get("a/1").is_none() || names.get("a").is_some());
        }
    }

    #[test]
    fn a_change_after_the_sync_was_issued_is_not_covered() {
        let mut gone = 0;
        for seed in 0..64 {
            let mut names = Names::default();
            let covers = names.sync_covers("");
            names.link("late", file(1));
            names.synced(&covers);
            names.power_cut(&mut Rng::new(seed));
            gone += u64::from(names.get("late").is_none());
        }
        assert!(gone > 0);
    }
}
