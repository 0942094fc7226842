//! Checks entries that were read from a disk or received from a peer.
