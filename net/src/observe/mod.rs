//! What the process shows of itself: status, figures, findings and the pages that carry them; it decides nothing, and
//! no record passes through it.

pub mod exposition;
pub mod health_row;
pub mod http;
pub mod http_access;
pub mod http_listener;
pub mod may_stop;
pub mod metrics;
pub mod slow_disk;
pub mod stats;
pub mod status;
pub mod steps;
