//! Room for transactional ids: what is finished is forgotten for what is new, oldest first, and
//! what nobody used for a long time is forgotten anyway.

use super::error::TransactionError;
use super::ids::Ids;
use super::record;
use super::transaction::Next;
use super::words::{Pending, Turn};
use std::sync::Arc;

/// Makes room for so many more ids and bytes, of which `keep` is not to go. What makes room is not in the way any more, also
/// while its tombstone is on its way.
pub fn make(
    ids: &mut Ids,
    keep: &str,
    more: usize,
    bytes: usize,
    turn: &mut Turn<'_>,
) -> Result<(), TransactionError> {
    while ids.staying() + more > turn.config.ids_max || ids.bytes() + bytes > turn.config.bytes_max {
        let Some(id) = ids.idle().map(|(_, id)| id).find(|id| &***id != keep).map(Arc::clone) else {
            ids.note_refused();
            return Err(TransactionError::TooMany);
        };
        forget(ids, &id, turn);
    }
    assert!(ids.staying() + more <= turn.config.ids_max, "{} ids and {more} more", ids.staying());
    assert!(ids.bytes() + bytes <= turn.config.bytes_max, "{} bytes and {bytes} more", ids.bytes());
    Ok(())
}

/// Forgets what was not used for `transactional.id.expiration.ms`.
pub fn expire(ids: &mut Ids, turn: &mut Turn<'_>) {
    let end_ms = turn.now.wall_ms.saturating_sub(turn.config.id_expiration_ms);
    let is_over = |(updated_ms, _): &(i64, &Arc<str>)| *updated_ms <= end_ms;
    let over: Vec<Arc<str>> = ids.idle().take_while(is_over).map(|(_, id)| Arc::clone(id)).collect();
    for id in over {
        forget(ids, &id, turn);
    }
}

fn forget(ids: &mut Ids, id: &Arc<str>, turn: &mut Turn<'_>) {
    write(ids, id, Next::Forgotten, Pending::Forget { id: Arc::clone(id) }, turn);
}

/// Appends the record of a step.
pub fn write(ids: &mut Ids, id: &Arc<str>, next: Next, pending: Pending, turn: &mut Turn<'_>) {
    let value = match &next {
        Next::Known(metadata) => Some(record::value(metadata)),
        Next::Forgotten => None,
    };
    ids.change(id, |transaction| {
        assert!(transaction.next.is_none(), "transactional id {id}: one record at a time");
        transaction.next = Some(next);
    });
    turn.append(pending, &[(record::key(id), value)]);
}
