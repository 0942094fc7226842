//! Certificates: making them, reading them, and who they name. Knows no sockets and no protocol above.

pub mod authority;
pub mod files;
pub mod node_name;
