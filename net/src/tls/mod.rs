//! Certificates: making them, reading them, and who they name. Knows no sockets and no protocol above.

pub mod authority;
pub mod buffers;
pub mod distinguished_name;
pub mod files;
pub mod live;
pub mod material;
pub mod node_name;
pub mod peers;
pub mod principal;
pub mod session;
pub mod words;
