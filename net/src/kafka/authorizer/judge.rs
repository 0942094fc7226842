//! Whether who sent a request may do what it asks.

use super::denials::Denials;
use super::table;
use crate::kafka::context::Context;
use crate::kafka::errors::code;
use crate::kafka::request_context::{Peer, RequestContext};
use engine::control::View;
use engine::control::acls::acl::CLUSTER_NAME;
use engine::control::acls::{Operation, ResourceType, Ruling, Who};
use engine::groups::request::Sees;
use engine::ids::TopicId;
use std::rc::Rc;
use std::sync::Arc;

/// For one request. There is none where nobody is judged, and none for a super user.
#[derive(Clone, Debug)]
pub struct Judge {
    peer: Rc<Peer>,
    pub(super) view: Arc<View>,
    allows_without_rule: bool,
    /// Whether a topic that is asked for may be made.
    pub(super) creates_topics: bool,
    api: i16,
    /// What was denied in this request: told in one line, when it is judged.
    denials: Rc<Denials>,
}

impl Judge {
    /// None where who asks may do everything.
    pub fn of(context: &Context, asked: &RequestContext, api_name: &'static str) -> Option<Self> {
        let authorizer = context.authorizer.as_ref().filter(|one| !one.is_super(&asked.peer))?;
        Some(Self {
            peer: Rc::clone(&asked.peer),
            view: context.view(),
            allows_without_rule: authorizer.allows_without_rule,
            creates_topics: context.settings.auto_create_topics,
            api: asked.api,
            denials: Rc::new(Denials::of(asked, api_name)),
        })
    }

    /// Whether this may be done. That it may not is told.
    pub fn may(&self, operation: Operation, kind: ResourceType, name: &str) -> bool {
        let may = self.sees(operation, kind, name);
        if !may {
            let Peer { principal, address, .. } = &*self.peer;
            tracing::debug!(principal, from = %address, api = self.api, "denied: {operation:?} {kind:?} {name:?}");
            self.denials.add(operation, kind, name);
        }
        may
    }

    /// The same where the answer is only made shorter by it.
    pub fn sees(&self, operation: Operation, kind: ResourceType, name: &str) -> bool {
        debug_assert!(table::asks(self.api, operation, kind), "API {} asks {operation:?} {kind:?}", self.api);
        self.allows(self.view.acls.rule(&self.who(), operation, kind, name))
    }

    pub fn topic(&self, operation: Operation, name: &str) -> bool {
        self.may(operation, ResourceType::Topic, name)
    }

    pub fn group(&self, operation: Operation, name: &str) -> bool {
        self.may(operation, ResourceType::Group, name)
    }

    pub fn cluster(&self, operation: Operation) -> bool {
        self.may(operation, ResourceType::Cluster, CLUSTER_NAME)
    }

    pub fn transaction(&self, operation: Operation, id: &str) -> bool {
        self.may(operation, ResourceType::TransactionalId, id)
    }

    /// The name of a topic, where there is one of this id.
    pub fn topic_of(&self, id: TopicId) -> Option<&Arc<str>> {
        self.view.topic_ids.get(&id)
    }

    /// Whether there is any topic that may be written.
    pub fn writes_any_topic(&self) -> bool {
        debug_assert!(table::asks(self.api, Operation::Write, ResourceType::Topic));
        // As Kafka asks, of a name that nobody has: what holds without a rule, and of all names.
        let of_all = self.view.acls.rule(&self.who(), Operation::Write, ResourceType::Topic, "hardcode");
        self.allows(of_all) || self.view.acls.allows_any(&self.who(), Operation::Write, ResourceType::Topic)
    }

    /// What may be done with a resource: a bit for each operation that it has.
    pub fn operations(&self, kind: ResourceType, name: &str) -> i32 {
        let rulings = self.view.acls.rulings(&self.who(), kind, name);
        rulings.filter(|(_, ruling)| self.allows(*ruling)).fold(0, |bits, (one, _)| bits | 1 << one as u8)
    }

    /// What may be done with the cluster; nothing for who may not look at it.
    pub fn cluster_operations(&self) -> i32 {
        let kind = ResourceType::Cluster;
        if self.cluster(Operation::Describe) { self.operations(kind, CLUSTER_NAME) } else { 0 }
    }

    /// By which topics are matched with an expression, later on.
    pub fn sees_topics(&self) -> Sees {
        let Peer { principal, address, .. } = &*self.peer;
        let allows_without_rule = self.allows_without_rule;
        Sees { principal: principal.clone(), address: *address, allows_without_rule }
    }

    fn allows(&self, ruling: Ruling) -> bool {
        match ruling {
            Ruling::Allowed => true,
            Ruling::Denied => false,
            Ruling::NoRule => self.allows_without_rule,
        }
    }

    fn who(&self) -> Who<'_> {
        Who::new(&self.peer.principal, self.peer.address)
    }
}

/// The error of a resource that may not be asked for.
pub fn refusal(kind: ResourceType) -> i16 {
    match kind {
        ResourceType::Topic => code::TOPIC_AUTHORIZATION_FAILED,
        ResourceType::Group => code::GROUP_AUTHORIZATION_FAILED,
        ResourceType::Cluster | ResourceType::User => code::CLUSTER_AUTHORIZATION_FAILED,
        ResourceType::TransactionalId => code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ResourceType::DelegationToken => code::DELEGATION_TOKEN_AUTHORIZATION_FAILED,
    }
}

#[cfg(test)]
pub(in crate::kafka) mod fixture {
    //! A judge of somebody with these rules.

    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;
    use engine::control::Command;
    use engine::control::acls::{Acl, AclHost, Pattern, PatternType, Permission};

    pub fn judge(mut cluster: Cluster, api: i16, allowed: &[(Operation, ResourceType, &str)]) -> Judge {
        let acl = |&(operation, kind, name): &(Operation, ResourceType, &str)| Acl {
            pattern: Pattern { kind, pattern_type: PatternType::Literal, name: name.into() },
            principal: "User:ANONYMOUS".into(),
            host: AclHost::Any,
            operation,
            permission: Permission::Allow,
        };
        cluster.apply(&Command::CreateAcls { acls: allowed.iter().map(acl).collect() });
        let asked = RequestContext::sample(api, 0);
        let denials = Rc::new(Denials::of(&asked, "Test"));
        let peer = asked.peer;
        Judge { peer, view: cluster.view(), allows_without_rule: false, creates_topics: true, api, denials }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;

    #[test]
    fn what_no_rule_is_about_follows_the_setting_and_operations_are_bits() {
        let rules = [
            (Operation::Read, ResourceType::Topic, "a"),
            (Operation::Describe, ResourceType::Cluster, CLUSTER_NAME),
        ];
        let judge = fixture::judge(Cluster::new(1), 3, &rules);
        let topic = |judge: &Judge, name| judge.topic(Operation::Describe, name);
        assert!(topic(&judge, "a") && !topic(&judge, "b"));
        // Read and Describe.
        assert_eq!(judge.operations(ResourceType::Topic, "a"), 1 << 3 | 1 << 8);
        assert_eq!((judge.operations(ResourceType::Topic, "b"), judge.cluster_operations()), (0, 1 << 8));
        let open = Judge { allows_without_rule: true, ..judge };
        assert!(topic(&open, "b") && !open.topic(Operation::Create, "a"), "a has rules");
        assert_eq!(open.operations(ResourceType::Topic, "b"), crate::kafka::apis::operations::TOPIC);
    }
}
