//! What members of a consumer group are told to keep to: the group's own settings where it has
//! some, else the broker's.

use crate::control::config::group::{INTERVAL_MS, SESSION_MS, own_ms};
use crate::groups::words::Turn;

pub fn session_ms(turn: &Turn<'_>, group: &str) -> i32 {
    let own = own_ms(turn.view.group_configs.get(group), SESSION_MS);
    within(own, turn.config.consumer_session_range_ms).unwrap_or(turn.config.consumer_session_ms)
}

pub fn interval_ms(turn: &Turn<'_>, group: &str) -> i32 {
    let own = own_ms(turn.view.group_configs.get(group), INTERVAL_MS);
    within(own, turn.config.consumer_interval_range_ms).unwrap_or(turn.config.consumer_interval_ms)
}

/// Another node's bounds may have been wider when the group was given its own.
fn within(own: Option<i32>, (min, max): (i32, i32)) -> Option<i32> {
    own.map(|ms| ms.max(min).min(max))
}
