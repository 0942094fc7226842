//! The simulated world: disks, clocks and nodes in one thread, from one seed.

pub mod disk;
