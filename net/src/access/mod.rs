//! How clients of ours reach a broker: over TLS or not, and as whom. The same options everywhere; knows nothing of what
//! is asked then.

pub mod how;
pub mod options;
pub mod sasl_dialog;
pub mod stream;
