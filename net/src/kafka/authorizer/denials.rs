//! What was denied in one request, told to the audit log in one line when the request has been judged: a request may
//! name thousands of things.

use crate::audit;
use crate::kafka::request_context::{Peer, RequestContext};
use engine::control::acls::{Operation, ResourceType};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

/// Things of one request that are named.
const NAMED_MAX: usize = 20;

#[derive(Debug)]
pub(super) struct Denials {
    peer: Rc<Peer>,
    client: Rc<str>,
    api: &'static str,
    found: RefCell<Found>,
}

#[derive(Debug, Default)]
struct Found {
    named: Vec<String>,
    more: usize,
}

impl Denials {
    pub fn of(asked: &RequestContext, api: &'static str) -> Self {
        let (peer, client) = (Rc::clone(&asked.peer), Rc::clone(&asked.client_id));
        Self { peer, client, api, found: RefCell::default() }
    }

    pub fn add(&self, operation: Operation, kind: ResourceType, name: &str) {
        if !audit::is_on() {
            return;
        }
        let mut found = self.found.borrow_mut();
        let text = || format!("{operation:?} {kind:?} {name:?}");
        if found.named.len() < NAMED_MAX {
            let text = text();
            if !found.named.contains(&text) {
                found.named.push(text);
            }
        } else {
            found.more += 1;
        }
    }

    /// The fields of the line; none where nothing was denied.
    fn fields(&self) -> Option<Value> {
        let found = self.found.borrow();
        let more = (found.more > 0).then_some(found.more);
        (!found.named.is_empty()).then(|| {
            json!({
                "principal": self.peer.principal, "address": self.peer.address.to_string(),
                "listener": self.peer.listener.name, "client": &*self.client,
                "api": self.api, "denied": found.named, "more": more,
            })
        })
    }
}

impl Drop for Denials {
    fn drop(&mut self) {
        if !self.found.borrow().named.is_empty() {
            audit::tell_of_many("denied", || self.fields().expect("something was denied"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_denials_are_one_line_of_bounded_length() {
        let denials = Denials::of(&RequestContext::sample(3, 0), "Metadata");
        assert_eq!(denials.fields(), None);
        let named: Vec<String> = (0..NAMED_MAX).map(|n| format!("Read Topic \"t{n}\"")).collect();
        *denials.found.borrow_mut() = Found { named: named.clone(), more: 7 };
        let fields = denials.fields().expect("denied");
        assert_eq!((&fields["denied"], &fields["more"]), (&json!(named), &json!(7)));
        assert_eq!((&fields["principal"], &fields["api"]), (&json!("User:ANONYMOUS"), &json!("Metadata")));
        denials.found.borrow_mut().named.clear();
    }
}
