//! Errors that were ordered: the n-th operation of a kind from now on fails.

use engine::disk::DiskRequest;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    Write,
    Sync,
    Read,
}

/// At most one order at a time; the process that meets a failed write or sync ends anyway.
#[derive(Clone, Debug, Default)]
pub struct DiskFaults {
    armed: Option<(FaultKind, u64)>,
    /// Orders that struck, with the kind; the world takes them.
    struck: Vec<FaultKind>,
}

impl DiskFaults {
    /// Lets the operation of this kind fail that comes after `skip` others.
    pub fn arm(&mut self, kind: FaultKind, skip: u64) {
        self.armed = Some((kind, skip));
    }

    pub fn disarm(&mut self) {
        self.armed = None;
    }

    pub fn take_struck(&mut self) -> Vec<FaultKind> {
        std::mem::take(&mut self.struck)
    }

    /// Whether this operation fails.
    pub(super) fn strikes(&mut self, request: &DiskRequest) -> bool {
        let is_of = |kind: FaultKind| match request {
            DiskRequest::Write { through, .. } => {
                kind == FaultKind::Write || kind == FaultKind::Sync && *through
            }
            DiskRequest::Sync { .. } => kind == FaultKind::Sync,
            DiskRequest::Read { .. } => kind == FaultKind::Read,
            _ => false,
        };
        match &mut self.armed {
            Some((kind, 0)) if is_of(*kind) => {
                self.struck.push(*kind);
                self.armed = None;
                true
            }
            Some((kind, skip)) if is_of(*kind) => {
                *skip -= 1;
                false
            }
            _ => false,
        }
    }
}
