//! Credentials and access rules, through the state machine, its checkpoint and its views.

use super::acls::{
    Acl, AclFilter, AclHost, Operation, Pattern, PatternType, Permission, ResourceType, Ruling, Who,
};
use super::config::Statics;
use super::credentials::{Credential, Mechanism};
use super::tests::{apply, formed};
use super::view::View;
use super::{Command, CommandError, MetaState, ViewBuilder};
use crate::control::command::Outcome;
use std::sync::Arc;

pub(super) fn credential(mechanism: Mechanism, iterations: u32) -> Credential {
    let key = vec![7; mechanism.digest_bytes()];
    Credential { iterations, salt: vec![1, 2, 3], stored_key: key.clone(), server_key: key }
}

#[test]
fn credentials_are_kept_in_the_state_its_checkpoint_and_its_views() {
    let mut state = formed(1);
    let alter =
        |mechanism, credential| Command::AlterCredential { user: "alice".to_owned(), mechanism, credential };
    let (short, long) = (Mechanism::ScramSha256, Mechanism::ScramSha512);
    apply(&mut state, &alter(short, Some(credential(short, 4_096)))).unwrap();
    apply(&mut state, &alter(long, Some(credential(long, 8_192)))).unwrap();
    let too_few = apply(&mut state, &alter(long, Some(credential(long, 1))));
    assert!(matches!(too_few, Err(CommandError::UnacceptableCredential(_))), "{too_few:?}");
    let view = ViewBuilder::new(Statics::default()).view(&MetaState::decode(&state.encode()).unwrap());
    assert_eq!(view.credential("alice", long), Some(&credential(long, 8_192)));
    assert_eq!(view.credential("bob", long), None);
    assert_eq!(state.encode()[0], 8);
    apply(&mut state, &alter(short, None)).unwrap();
    assert_eq!(apply(&mut state, &alter(short, None)), Err(CommandError::UnknownCredential));
    apply(&mut state, &alter(long, None)).unwrap();
    assert_eq!(state.encode()[0], 1, "without credentials older programs read it");
}

pub(super) fn acl(name: &str, operation: Operation) -> Acl {
    Acl {
        pattern: Pattern {
            kind: ResourceType::Topic,
            pattern_type: PatternType::Prefixed,
            name: name.into(),
        },
        principal: "User:alice".into(),
        host: AclHost::Any,
        operation,
        permission: Permission::Allow,
    }
}

#[test]
fn access_rules_are_kept_in_the_state_its_checkpoint_and_its_views() {
    let mut state = formed(1);
    let all = vec![acl("a", Operation::Read), acl("a", Operation::Write), acl("b", Operation::Read)];
    apply(&mut state, &Command::CreateAcls { acls: all.clone() }).unwrap();
    let wrong = vec![acl("c", Operation::Read), acl("", Operation::Read)];
    let refused = apply(&mut state, &Command::CreateAcls { acls: wrong });
    assert!(matches!(refused, Err(CommandError::InvalidRequest(_))), "all or none: {refused:?}");
    assert_eq!(state.encode()[0], 9);
    let mut views = ViewBuilder::new(Statics::default());
    let view = views.view(&MetaState::decode(&state.encode()).unwrap());
    let alice = Who::new("User:alice", [10, 0, 0, 1].into());
    let rule = |view: &View, name| view.acls.rule(&alice, Operation::Write, ResourceType::Topic, name);
    assert_eq!((rule(&view, "abc"), rule(&view, "bc")), (Ruling::Allowed, Ruling::Denied));
    let delete = |at_most| Command::DeleteAcls {
        filter: AclFilter { operation: Some(Operation::Read), ..AclFilter::any() },
        at_most,
    };
    let deleted = |acls: &[&Acl], more| {
        Ok(Outcome::AclsDeleted { acls: acls.iter().map(|acl| (*acl).clone()).collect(), more })
    };
    assert_eq!(apply(&mut state, &delete(1)), deleted(&[&all[0]], true));
    assert_eq!(apply(&mut state, &delete(200)), deleted(&[&all[2]], false));
    assert_eq!(apply(&mut state, &delete(200)), deleted(&[], false));
    let view = views.view(&state);
    assert_eq!((rule(&view, "abc"), rule(&view, "bc")), (Ruling::Allowed, Ruling::NoRule));
    let index = view.acls.clone();
    apply(&mut state, &Command::AllocateProducerIds { count: 1 }).unwrap();
    assert!(
        Arc::ptr_eq(&index, &views.view(&state).acls),
        "the index is made again only where rules changed"
    );
    apply(&mut state, &Command::DeleteAcls { filter: AclFilter::any(), at_most: 9 }).unwrap();
    assert_eq!(state.encode()[0], 1, "without rules older programs read it");
}
