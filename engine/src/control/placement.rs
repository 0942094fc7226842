//! Where a new partition goes.
