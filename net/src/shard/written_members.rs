//! What the first shard knows of the file of met nodes, and how links to those nodes are.

use crate::peer::met_nodes::MetNodes;

/// How links to other nodes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinksAre {
    /// This node listens for no other.
    None,
    /// Who is at the other end is not proven.
    Plain,
    /// A node is who its certificate says.
    WithinTls,
}

/// What the file has, and whether somebody writes it.
#[derive(Debug, Default)]
pub struct WrittenMembers {
    written: MetNodes,
    is_writing: bool,
}

impl WrittenMembers {
    /// As it was read.
    pub fn of(written: MetNodes) -> Self {
        Self { written, is_writing: false }
    }

    /// Whether these are to be written now; then one begins to.
    pub fn begin(&mut self, named: &MetNodes) -> bool {
        if self.is_writing || *named == self.written {
            return false;
        }
        self.is_writing = true;
        true
    }

    /// These are durable.
    pub fn wrote(&mut self, members: MetNodes) {
        assert!(self.is_writing, "one task writes");
        self.written = members;
    }

    /// Whether nothing is left to be written; then one ends.
    pub fn end(&mut self, named: &MetNodes) -> bool {
        assert!(self.is_writing, "one task writes");
        let is_all = *named == self.written;
        self.is_writing = !is_all;
        is_all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::address::Address;
    use engine::ids::NodeId;

    #[test]
    fn one_writes_until_all_that_is_named_is_written() {
        let named = |nodes: &[u32]| -> MetNodes {
            let at = |node: &u32| (NodeId(*node), Address { host: "h".to_owned(), port: 9 });
            nodes.iter().map(at).collect()
        };
        let mut members = WrittenMembers::of(named(&[1]));
        assert!(!members.begin(&named(&[1])), "it is there");
        assert!(members.begin(&named(&[1, 2])));
        assert!(!members.begin(&named(&[1, 2, 3])), "somebody writes");
        members.wrote(named(&[1, 2]));
        assert!(!members.end(&named(&[1, 2, 3])), "more came meanwhile");
        members.wrote(named(&[1, 2, 3]));
        assert!(members.end(&named(&[1, 2, 3])));
        assert!(!members.begin(&named(&[1, 2, 3])));
    }
}
