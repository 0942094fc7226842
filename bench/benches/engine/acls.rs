//! What it costs to judge one request by 10,000 access rules, whatever they are about, and to make the index of them.

use criterion::Criterion;
use engine::control::acls::rules::ACLS_AT_ONCE;
use engine::control::acls::{
    Acl, AclHost, AclIndex, Acls, Operation, Pattern, PatternType, Permission, ResourceType, Ruling, Who,
};
use std::hint::black_box;
use std::sync::Arc;

const RULES: usize = 10_000;

fn acl(pattern_type: PatternType, name: &str, principal: &str, host: &str) -> Acl {
    Acl {
        pattern: Pattern { kind: ResourceType::Topic, pattern_type, name: name.into() },
        principal: principal.into(),
        host: AclHost::of(host),
        operation: Operation::Read,
        permission: Permission::Allow,
    }
}

fn acls(rule: impl Fn(usize) -> Acl) -> Arc<Acls> {
    let all: Vec<Acl> = (0..RULES).map(rule).collect();
    let mut acls = Acls::default();
    all.chunks(ACLS_AT_ONCE).for_each(|chunk| acls.create(chunk));
    assert_eq!(acls.len(), RULES);
    Arc::new(acls)
}

pub fn access_rules(criterion: &mut Criterion) {
    use PatternType::{Literal, Prefixed};
    let mut group = criterion.benchmark_group("access rules, 10,000");
    let topic = |n: usize| format!("team-{:02}.application-{:03}.events-{n}", n % 50, n % 500);
    // Each begins with the one before, up to ten of them: more than names have parts.
    let nested = |n: usize| format!("team-{:04}.{}", n / 10, "part.".repeat(n % 10));
    let user = |n: usize| format!("User:service-{n}");
    let mixed = |n: usize| match n % 3 {
        0 => acl(Literal, &topic(n), &user(n), "*"),
        1 => acl(Prefixed, &nested(n), &user(n % 100), "*"),
        _ => acl(Literal, "*", &user(n), "*"),
    };
    let shapes: [(&str, Arc<Acls>); 5] = [
        ("a topic each", acls(|n| acl(Literal, &topic(n), &user(n), "*"))),
        ("a prefix each, ten within another", acls(|n| acl(Prefixed, &nested(n), &user(n % 100), "*"))),
        ("a user each, of one topic", acls(|n| acl(Literal, "events", &user(n), "*"))),
        (
            "an address each, of one user",
            acls(|n| acl(Literal, "events", "User:service-7", &format!("10.0.{}.{}", n / 250, n % 250))),
        ),
        ("all of these", acls(mixed)),
    ];
    for (shape, acls) in &shapes {
        let index = AclIndex::new(acls.clone());
        let names: Vec<String> = (0..1_000)
            .map(|n| match *shape {
                "a topic each" => topic(n * 10),
                "a user each, of one topic" | "an address each, of one user" => "events".to_owned(),
                _ => format!("{}events", nested(n * 10 + 9)),
            })
            .collect();
        let users: Vec<String> = (0..1_000).map(|n| user(n * 10)).collect();
        let mut at = 0;
        group.bench_function(format!("one asked, {shape}"), |bencher| {
            bencher.iter(|| {
                at = (at + 389) % names.len();
                let principal =
                    if *shape == "an address each, of one user" { "User:service-7" } else { &users[at] };
                let who = Who::new(principal, [10, 0, 1, 7].into());
                let ruling = index.rule(&who, Operation::Read, ResourceType::Topic, &names[at]);
                assert_ne!(ruling, Ruling::NoRule);
                black_box(ruling)
            })
        });
    }
    let (_, all) = &shapes[4];
    group.bench_function("the index made", |bencher| bencher.iter(|| AclIndex::new(black_box(all.clone()))));
    let index = AclIndex::new(all.clone());
    let nobody = Who::new("User:nobody", [10, 0, 1, 7].into());
    group.bench_function("any topic asked, by one who has none", |bencher| {
        bencher.iter(|| assert!(!index.allows_any(&nobody, Operation::Write, ResourceType::Topic)))
    });
    group.finish();
}
