//! Producers' numbers and transactions.

use super::admit::{Admission, Admit};
use super::judge::Judge;
use crate::kafka::errors::code;
use engine::control::acls::acl::CLUSTER_NAME;
use engine::control::acls::{Operation, ResourceType};
use kafka_wire::{InitProducerIdRequest, InitProducerIdResponse};

impl Admit for InitProducerIdRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<InitProducerIdResponse> {
        let (may, error_code) = match &self.transactional_id {
            Some(id) => {
                (judge.transaction(Operation::Write, id), code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
            }
            // Who writes any topic may do so idempotently (KIP-679).
            None => {
                let may = judge.sees(Operation::IdempotentWrite, ResourceType::Cluster, CLUSTER_NAME)
                    || judge.writes_any_topic();
                (may, code::CLUSTER_AUTHORIZATION_FAILED)
            }
        };
        Admission::whole_if(may, || {
            let mut response = InitProducerIdResponse::default();
            (response.producer_id, response.producer_epoch) = (-1, -1);
            response.error_code = error_code;
            response
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::fixture::judge;
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;

    #[test]
    fn a_producers_number_is_given_to_who_may_write_something() {
        let code_of = |transaction: Option<&str>, rules: &[(Operation, ResourceType, &str)]| {
            let mut request = InitProducerIdRequest::default();
            request.transactional_id = transaction.map(Into::into);
            match request.admit(&judge(Cluster::new(1), 22, rules), 4) {
                Admission::Whole => 0,
                Admission::Denied(response) => response.error_code,
                Admission::Part(_) => panic!("it has no parts"),
            }
        };
        let writes = [(Operation::Write, ResourceType::Topic, "t")];
        let idempotent = [(Operation::IdempotentWrite, ResourceType::Cluster, CLUSTER_NAME)];
        let transaction = [(Operation::Write, ResourceType::TransactionalId, "x")];
        assert_eq!(code_of(None, &[]), code::CLUSTER_AUTHORIZATION_FAILED);
        assert_eq!((code_of(None, &writes), code_of(None, &idempotent)), (0, 0));
        assert_eq!(code_of(Some("x"), &writes), code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        assert_eq!((code_of(Some("x"), &transaction), code_of(Some("y"), &transaction)), (0, 53));
    }
}
