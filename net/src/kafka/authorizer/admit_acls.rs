//! Access rules themselves.

use super::admit::{Admission, Admit};
use super::admit_cluster::{DENIED, WORDS};
use super::judge::Judge;
use engine::control::acls::Operation;
use kafka_wire::create_acls_response::AclCreationResult;
use kafka_wire::delete_acls_response::DeleteAclsFilterResult;
use kafka_wire::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};

impl Admit for DescribeAclsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DescribeAclsResponse> {
        Admission::whole_if(judge.cluster(Operation::Describe), || {
            let mut response = DescribeAclsResponse::default();
            (response.error_code, response.error_message) = (DENIED, Some(WORDS.into()));
            response
        })
    }
}

impl Admit for CreateAclsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<CreateAclsResponse> {
        Admission::whole_if(judge.cluster(Operation::Alter), || {
            let mut result = AclCreationResult::default();
            (result.error_code, result.error_message) = (DENIED, Some(WORDS.into()));
            let mut response = CreateAclsResponse::default();
            response.results = vec![result; self.creations.len()];
            response
        })
    }
}

impl Admit for DeleteAclsRequest {
    fn admit(&mut self, judge: &Judge, _: i16) -> Admission<DeleteAclsResponse> {
        Admission::whole_if(judge.cluster(Operation::Alter), || {
            let mut result = DeleteAclsFilterResult::default();
            (result.error_code, result.error_message) = (DENIED, Some(WORDS.into()));
            let mut response = DeleteAclsResponse::default();
            response.filter_results = vec![result; self.filters.len()];
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
    fn each_rule_that_was_to_be_made_has_the_error() {
        let nothing = judge(Cluster::new(1), 30, &[]);
        let mut request = CreateAclsRequest::default();
        request.creations = vec![Default::default(), Default::default()];
        let Admission::Denied(response) = request.admit(&nothing, 3) else { panic!("denied") };
        assert_eq!(response.results.iter().map(|one| one.error_code).collect::<Vec<_>>(), [31, 31]);
    }
}
