//! AlterUserScramCredentials: users' credentials, each set or taken away by one command. The salted password that a
//! client sends ends here: what is kept follows from it, and does not give it back.

use super::admin::{self, Failure};
use crate::client::sasl::scram_keys::ScramKeys;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::{IN_THE_CLEAR, RequestContext};
use core::ops::RangeInclusive;
use engine::control::credentials::{self, Credential, Mechanism};
use engine::control::{Command, View};
use kafka_wire::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_wire::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_wire::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
use std::collections::BTreeMap;

pub struct AlterUserScramCredentials;

/// A salted password's longest: a hash fills it with 64 bytes.
const SALTED_BYTES_MAX: usize = 1_024;

impl Handler for AlterUserScramCredentials {
    type Request = AlterUserScramCredentialsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    fn named(request: &Self::Request) -> usize {
        request.deletions.len() + request.upsertions.len()
    }

    async fn handle(
        context: &Context,
        asked: &RequestContext,
        request: AlterUserScramCredentialsRequest,
    ) -> AlterUserScramCredentialsResponse {
        let planned = plan(&context.view(), &request, asked.peer.keeps_secrets());
        let (users, planned): (Vec<_>, Vec<_>) = planned.into_iter().unzip();
        let results = admin::carry_out(context, planned, 0).await;
        let mut response = AlterUserScramCredentialsResponse::default();
        response.results = users
            .iter()
            .zip(&results)
            .map(|(user, result)| {
                let mut answered = AlterUserScramCredentialsResult::default();
                answered.user = (*user).into();
                (answered.error_code, answered.error_message) = admin::error_fields(result);
                answered
            })
            .collect();
        response
    }
}

/// One command or failure per user, in the order of their names. As in Kafka a request names a user once, whatever
/// the mechanism.
fn plan<'a>(
    view: &View,
    request: &'a AlterUserScramCredentialsRequest,
    is_secret: bool,
) -> BTreeMap<&'a str, Result<Command, Failure>> {
    let mut planned = BTreeMap::new();
    let mut add = |user: &'a str, command: &dyn Fn() -> Result<Command, Failure>| {
        let one = match planned.contains_key(user) {
            _ if !is_secret => Err(Failure::new(code::UNACCEPTABLE_CREDENTIAL, IN_THE_CLEAR)),
            true => Err(Failure::new(
                code::DUPLICATE_RESOURCE,
                "A user credential cannot be altered twice in the same request",
            )),
            false => command(),
        };
        planned.insert(user, one);
    };
    for deletion in &request.deletions {
        let user = deletion.name.as_str();
        add(user, &|| alter(view, user, mechanism(user, deletion.mechanism)?, None));
    }
    for upsertion in &request.upsertions {
        let user = upsertion.name.as_str();
        add(user, &|| {
            let mechanism = mechanism(user, upsertion.mechanism)?;
            alter(view, user, mechanism, Some(credential(mechanism, upsertion)?))
        });
    }
    planned
}

fn mechanism(user: &str, number: i8) -> Result<Mechanism, Failure> {
    if user.is_empty() {
        return Err(Failure::new(code::UNACCEPTABLE_CREDENTIAL, "Username must not be empty"));
    }
    let known = u8::try_from(number).ok().and_then(Mechanism::of);
    known.ok_or_else(|| Failure::new(code::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism"))
}

fn credential(mechanism: Mechanism, upsertion: &ScramCredentialUpsertion) -> Result<Credential, Failure> {
    let salted = &upsertion.salted_password;
    if salted.is_empty() || salted.len() > SALTED_BYTES_MAX {
        return Err(Failure::new(code::UNACCEPTABLE_CREDENTIAL, "A salted password has 1 to 1024 bytes"));
    }
    let iterations = u32::try_from(upsertion.iterations).unwrap_or(0);
    Ok(ScramKeys::of_salted_password(mechanism, salted).credential(iterations, &upsertion.salt))
}

fn alter(
    view: &View,
    user: &str,
    mechanism: Mechanism,
    credential: Option<Credential>,
) -> Result<Command, Failure> {
    credentials::check(&view.credentials, user, mechanism, credential.as_ref())?;
    Ok(Command::AlterCredential { user: user.to_owned(), mechanism, credential })
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use kafka_wire::alter_user_scram_credentials_request::ScramCredentialDeletion;

    fn upsertion(user: &str, mechanism: i8, iterations: i32) -> ScramCredentialUpsertion {
        let mut one = ScramCredentialUpsertion::default();
        (one.name, one.mechanism, one.iterations) = (user.into(), mechanism, iterations);
        (one.salt, one.salted_password) = (b"salt".as_slice().into(), b"saltedPassword".as_slice().into());
        one
    }

    fn deletion(user: &str, mechanism: i8) -> ScramCredentialDeletion {
        let mut one = ScramCredentialDeletion::default();
        (one.name, one.mechanism) = (user.into(), mechanism);
        one
    }

    fn codes(view: &View, request: &AlterUserScramCredentialsRequest, is_secret: bool) -> Vec<(String, i16)> {
        let planned = plan(view, request, is_secret).into_iter();
        planned.map(|(user, one)| (user.to_owned(), one.err().map_or(0, |failure| failure.code))).collect()
    }

    #[test]
    fn each_user_gets_kafkas_error_and_what_is_kept_is_not_what_was_sent() {
        let mut cluster = Cluster::new(1);
        let mut request = AlterUserScramCredentialsRequest::default();
        request.upsertions = vec![
            upsertion("good", 1, 4_096),
            upsertion("few", 1, 4_095),
            upsertion("many", 2, 16_385),
            upsertion("negative", 2, -1),
            upsertion("", 1, 4_096),
            upsertion("unknown", 0, 4_096),
            upsertion("twice", 1, 4_096),
            upsertion("twice", 2, 4_096),
        ];
        request.deletions = vec![deletion("nobody", 1), deletion("", 2), deletion("other", 9)];
        let expected = [
            ("", code::DUPLICATE_RESOURCE),
            ("few", code::UNACCEPTABLE_CREDENTIAL),
            ("good", 0),
            ("many", code::UNACCEPTABLE_CREDENTIAL),
            ("negative", code::UNACCEPTABLE_CREDENTIAL),
            ("nobody", code::RESOURCE_NOT_FOUND),
            ("other", code::UNSUPPORTED_SASL_MECHANISM),
            ("twice", code::DUPLICATE_RESOURCE),
            ("unknown", code::UNSUPPORTED_SASL_MECHANISM),
        ];
        let expected = expected.map(|(user, code)| (user.to_owned(), code));
        assert_eq!(codes(&cluster.view(), &request, true), expected);
        let view = cluster.view();
        let planned = plan(&view, &request, true);
        let Ok(command) = &planned["good"] else { panic!("a command") };
        let Command::AlterCredential { credential: Some(kept), .. } = command else { panic!("{command:?}") };
        let written = command.encode();
        assert!(!written.windows(14).any(|bytes| bytes == b"saltedPassword"), "it is in the journal");
        assert!(!format!("{command:?}").contains(&format!("{:?}", kept.stored_key)));
        cluster.apply(command);
        let mut request = AlterUserScramCredentialsRequest::default();
        request.deletions = vec![deletion("good", 1)];
        assert_eq!(codes(&cluster.view(), &request, true), [("good".to_owned(), 0)]);
        request.deletions = vec![deletion("good", 2)];
        assert_eq!(codes(&cluster.view(), &request, true), [("good".to_owned(), code::RESOURCE_NOT_FOUND)]);
    }

    #[test]
    fn nothing_is_taken_over_a_connection_that_others_can_read() {
        let mut request = AlterUserScramCredentialsRequest::default();
        request.upsertions = vec![upsertion("good", 1, 4_096)];
        let refused = [("good".to_owned(), code::UNACCEPTABLE_CREDENTIAL)];
        assert_eq!(codes(&Cluster::new(1).view(), &request, false), refused);
    }
}
