//! How the disk work of rewriting ended.

use super::gate::Stepped;
use super::pass::Attempt;
use crate::disk::DiskError;

pub enum RewriteDone {
    Stepped(Stepped<Attempt>),
    /// Files of runs that nothing reads were removed.
    Removed(Result<(), DiskError>),
}
