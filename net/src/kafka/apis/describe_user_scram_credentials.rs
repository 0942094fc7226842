//! DescribeUserScramCredentials: which users there are, with which mechanisms and iterations. No key is told.

use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::{IN_THE_CLEAR, RequestContext};
use core::ops::RangeInclusive;
use engine::control::credentials::Credentials;
use kafka_wire::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_wire::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};
use std::collections::BTreeMap;

pub struct DescribeUserScramCredentials;

impl Handler for DescribeUserScramCredentials {
    type Request = DescribeUserScramCredentialsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    fn named(request: &Self::Request) -> usize {
        request.users.as_ref().map_or(0, Vec::len)
    }

    async fn handle(
        context: &Context,
        asked: &RequestContext,
        request: DescribeUserScramCredentialsRequest,
    ) -> DescribeUserScramCredentialsResponse {
        let mut response = DescribeUserScramCredentialsResponse::default();
        if asked.peer.keeps_secrets() {
            response.results = results(&context.view().credentials, &request);
        } else {
            (response.error_code, response.error_message) =
                (code::INVALID_REQUEST, Some(IN_THE_CLEAR.into()));
        }
        response
    }
}

/// One for each user that is named, or for all there are where none is.
fn results(
    credentials: &Credentials,
    request: &DescribeUserScramCredentialsRequest,
) -> Vec<DescribeUserScramCredentialsResult> {
    // How often each is named.
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    match request.users.as_deref() {
        None | Some([]) => named.extend(credentials.keys().map(|user| (user.as_str(), 1))),
        Some(users) => users.iter().for_each(|user| *named.entry(user.name.as_str()).or_default() += 1),
    }
    let result = |(user, times): (&str, usize)| {
        let mut result = DescribeUserScramCredentialsResult::default();
        result.user = user.into();
        match credentials.get(user) {
            _ if times > 1 => {
                let reason =
                    "Cannot describe SCRAM credentials for the same user twice in a single request: ";
                result.error_code = code::DUPLICATE_RESOURCE;
                result.error_message = Some(format!("{reason}{user}").into());
            }
            None => {
                let reason = "Attempt to describe a user credential that does not exist: ";
                result.error_code = code::RESOURCE_NOT_FOUND;
                result.error_message = Some(format!("{reason}{user}").into());
            }
            Some(of) => result.credential_infos.extend(of.iter().map(|(mechanism, credential)| {
                let mut info = CredentialInfo::default();
                info.mechanism = *mechanism as i8;
                info.iterations = i32::try_from(credential.iterations).expect("checked when it was set");
                info
            })),
        }
        result
    };
    named.into_iter().map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::sasl::scram_keys::ScramKeys;
    use engine::control::credentials::{self, Mechanism};
    use kafka_wire::describe_user_scram_credentials_request::UserName;

    fn named(users: &[&str]) -> DescribeUserScramCredentialsRequest {
        let user = |name: &&str| {
            let mut user = UserName::default();
            user.name = (*name).into();
            user
        };
        let mut request = DescribeUserScramCredentialsRequest::default();
        request.users = Some(users.iter().map(user).collect());
        request
    }

    #[test]
    fn all_are_told_or_those_named_each_once() {
        let mut known = Credentials::new();
        for (user, mechanism) in
            [("a", Mechanism::ScramSha256), ("a", Mechanism::ScramSha512), ("b", Mechanism::ScramSha512)]
        {
            let credential = ScramKeys::of_salted_password(mechanism, b"salted").credential(8_192, b"salt");
            credentials::change(&mut known, user, mechanism, Some(&credential));
        }
        let told = |request: &DescribeUserScramCredentialsRequest| {
            let results = results(&known, request);
            let one = |result: &DescribeUserScramCredentialsResult| {
                let infos = result.credential_infos.iter().map(|info| (info.mechanism, info.iterations));
                (result.user.to_string(), result.error_code, infos.collect::<Vec<_>>())
            };
            results.iter().map(one).collect::<Vec<_>>()
        };
        let (a, b) = (vec![(1, 8_192), (2, 8_192)], vec![(2, 8_192)]);
        let all = [("a".to_owned(), 0, a), ("b".to_owned(), 0, b.clone())];
        assert_eq!(told(&DescribeUserScramCredentialsRequest::default()), all);
        assert_eq!(told(&named(&[])), all);
        let some = [
            ("a".to_owned(), code::DUPLICATE_RESOURCE, vec![]),
            ("b".to_owned(), 0, b),
            ("c".to_owned(), code::RESOURCE_NOT_FOUND, vec![]),
        ];
        assert_eq!(told(&named(&["c", "a", "b", "a"])), some);
    }
}
