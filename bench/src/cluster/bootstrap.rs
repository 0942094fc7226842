//! Where a run begins: brokers by their names, and how each of them is reached.

use net::access::how::Access;

#[derive(Clone, Debug, Default)]
pub struct Bootstrap {
    pub brokers: Vec<String>,
    pub access: Access,
}
