//! The meta journal's state machine.

use super::command::{Command, CommandError, Outcome};
use super::view::View;
use crate::ids::Index;
use std::sync::Arc;

/// The cluster's metadata: what the meta journal's entries add up to.
#[derive(Clone, Debug, Default)]
pub struct MetaState {}

impl MetaState {
    /// Carries out one committed command at `index`. Deterministic: the same on every replica.
    pub fn apply(&mut self, index: Index, command: &Command) -> Result<Outcome, CommandError> {
        let _ = (index, command);
        Ok(Outcome::Done)
    }

    /// The view after all that was applied.
    pub fn view(&self) -> Arc<View> {
        Arc::default()
    }
}
