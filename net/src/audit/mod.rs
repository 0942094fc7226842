//! The audit log: who came, what was denied, what was changed, by whom and from what to what, and what befell the
//! cluster. `line` has how a line looks, `file` the file that it goes to, `queue` the way there, which nobody waits
//! on. Nothing that is told here is a secret or holds one: who tells sees to it.

pub mod file;
pub mod line;
pub mod queue;

pub use queue::{AuditFigures, AuditGuard, AuditSettings, figures, is_on, start, tell, tell_of_many};
