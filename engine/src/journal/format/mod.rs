//! The files of a journal, byte for byte: read and written here, judged elsewhere.

pub mod checkpoint_file;
pub mod doubt_record;
pub mod hard_state;
pub mod index_encoder;
pub mod index_file;
pub mod install_file;
pub mod meta_record;
