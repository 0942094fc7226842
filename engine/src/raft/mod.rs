//! raft-rs, carried: the only folder that knows it.
