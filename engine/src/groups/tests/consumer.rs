//! Groups of the consumer protocol: who gets what and when, who is fenced, what is read back.

use super::super::consumer::partitions::Partitions;
use super::super::request::{Beat, ConsumerDescribed, ConsumerHeartbeat, FetchOffsets, Protocol};
use super::*;

/// A client as it should be: it gives up what it is not assigned any more, and says so.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub beat: ConsumerHeartbeat,
    pub epoch: i32,
    pub owned: Partitions,
}

impl Client {
    pub fn new(member: &str, topics: &[&str]) -> Self {
        let beat = ConsumerHeartbeat {
            group: "g".to_owned(),
            member: member.to_owned(),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            rebalance_timeout_ms: Some(60_000),
            topics: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
            ..ConsumerHeartbeat::default()
        };
        Self { beat, epoch: 0, owned: Partitions::default() }
    }

    pub fn matching(member: &str, pattern: &str) -> Self {
        let mut client = Self::new(member, &[]);
        client.beat.topics = None;
        client.beat.pattern = Some(pattern.to_owned());
        client
    }

    pub fn request(&self) -> Request {
        let owned = Some(self.owned.clone());
        Request::ConsumerHeartbeat(ConsumerHeartbeat { epoch: self.epoch, owned, ..self.beat.clone() })
    }

    pub fn told(&mut self, beat: &Beat) {
        self.epoch = beat.epoch;
        if let Some(assignment) = &beat.assignment {
            self.owned = assignment.clone();
        }
    }

    pub fn numbers(&self) -> Vec<i32> {
        self.owned.iter().map(|(_, number)| number).collect()
    }

    pub fn identity(&self) -> Identity {
        let (member, generation) = (self.beat.member.clone(), self.epoch);
        Identity { group: "g".to_owned(), member, instance: None, generation }
    }
}

impl World {
    pub(super) fn beat(&mut self, client: &mut Client) -> Result<Beat, GroupError> {
        let Answer::Beat(result) = self.now_answered(client.request()) else { panic!("no beat") };
        result.iter().for_each(|beat| client.told(beat));
        result
    }

    /// Heartbeats of all until nobody is told anything new.
    pub(super) fn settle(&mut self, clients: &mut [&mut Client]) {
        for _ in 0..10 {
            clients.iter_mut().for_each(|client| drop(self.beat(client).expect("a member")));
        }
        assert_eq!(self.described().state, "Stable");
    }

    pub(super) fn described(&mut self) -> ConsumerDescribed {
        match self.now_answered(Request::DescribeConsumer { group: "g".to_owned() }) {
            Answer::ConsumerDescribed(Ok(described)) => described,
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, client: &Client, epoch: i32) -> Result<Beat, GroupError> {
        let beat = ConsumerHeartbeat { epoch, owned: None, ..client.beat.clone() };
        let Answer::Beat(result) = self.now_answered(Request::ConsumerHeartbeat(beat)) else { panic!() };
        result
    }
}

fn three() -> (World, Client, Client) {
    let mut world = World::new();
    world.topic("t", 3);
    (world, Client::new("a", &["t"]), Client::new("b", &["t"]))
}

#[test]
fn a_second_member_gets_what_the_first_gave_up() {
    let (mut world, mut a, mut b) = three();
    let first = world.beat(&mut a).expect("in");
    assert_eq!((first.epoch, first.interval_ms, a.numbers()), (1, 5_000, vec![0, 1, 2]));
    let second = world.beat(&mut b).expect("in");
    assert_eq!((second.epoch, b.numbers()), (2, vec![]), "all is the first one's still");
    assert_eq!(world.described().state, "Reconciling");
    let told = world.beat(&mut a).expect("in");
    assert_eq!((told.epoch, a.owned.len()), (1, 2), "it is to give one up, and stays where it is");
    world.beat(&mut b).expect("in");
    assert_eq!((b.epoch, b.numbers()), (2, vec![]), "it waits");
    assert_eq!(world.beat(&mut a).expect("it gave up").epoch, 2);
    world.beat(&mut b).expect("in");
    assert_eq!((a.owned.len(), b.owned.len()), (2, 1));
    assert!(!a.owned.overlaps(&b.owned));
    assert!(world.beat(&mut a).expect("in").assignment.is_some(), "it says all, and is told all");
    let short = ConsumerHeartbeat { rebalance_timeout_ms: None, topics: None, epoch: 2, ..a.beat.clone() };
    let Answer::Beat(Ok(beat)) = world.now_answered(Request::ConsumerHeartbeat(short)) else { panic!() };
    assert_eq!((beat.epoch, beat.assignment), (2, None), "nothing new");
    assert_eq!(world.described().state, "Stable");
}

#[test]
fn topics_that_come_grow_and_go_are_assigned_at_the_next_heartbeat() {
    let (mut world, _, _) = three();
    let mut a = Client::new("a", &["t", "u"]);
    world.beat(&mut a).expect("in");
    assert_eq!((a.epoch, a.owned.len()), (1, 3));
    for (partitions, epoch, owned) in [(2, 2, 5), (4, 3, 7)] {
        world.topic("u", partitions);
        world.beat(&mut a).expect("in");
        assert_eq!((a.epoch, a.owned.len()), (epoch, owned));
    }
    world.topic("other", 9);
    world.beat(&mut a).expect("in");
    assert_eq!(a.epoch, 3, "nobody subscribes to that");
    world.topic("u", 0);
    world.settle(&mut [&mut a]);
    assert_eq!((a.epoch, a.owned.len()), (4, 3));
}

#[test]
fn an_expression_follows_the_topics_and_one_that_is_none_is_refused() {
    let (mut world, _, _) = three();
    let mut a = Client::matching("a", "t.*");
    world.beat(&mut a).expect("in");
    assert_eq!(a.owned.len(), 3);
    world.topic("t2", 2);
    world.topic("not", 2);
    world.beat(&mut a).expect("in");
    assert_eq!(a.owned.len(), 5);
    world.fail_over();
    world.topic("t3", 1);
    world.beat(&mut a).expect("in");
    assert_eq!(a.owned.len(), 6);
    let mut bad = Client::matching("b", "(");
    assert_eq!(world.beat(&mut bad), Err(GroupError::InvalidRegularExpression));
    a.beat.pattern = Some("(".to_owned());
    assert_eq!(world.beat(&mut a), Err(GroupError::InvalidRegularExpression));
    a.beat.pattern = Some(String::new());
    a.beat.topics = Some(vec!["t".to_owned()]);
    world.settle(&mut [&mut a]);
    assert_eq!(a.owned.len(), 3);
}

#[test]
fn what_a_member_may_not_see_no_expression_gives_it() {
    let (mut world, _, _) = three();
    let mut a = Client::matching("a", ".*");
    a.beat.sees = Some(crate::groups::request::Sees {
        principal: "User:a".to_owned(),
        address: std::net::IpAddr::from([127, 0, 0, 1]),
        allows_without_rule: false,
    });
    world.beat(&mut a).expect("in");
    assert!(a.owned.is_empty());
}

#[test]
fn wrong_requests_have_kafkas_errors() {
    let (mut world, mut a, _) = three();
    let mut refused = |change: &dyn Fn(&mut Client)| {
        let mut client = Client::new("a", &["t"]);
        change(&mut client);
        world.beat(&mut client).expect_err("wrong")
    };
    type Change = dyn Fn(&mut Client);
    let invalid: [&Change; 5] = [
        &|client| client.beat.rebalance_timeout_ms = None,
        &|client| client.beat.topics = None,
        &|client| client.owned.insert((TopicId(1), 0)),
        &|client| client.epoch = -3,
        &|client| client.beat.instance = Some(String::new()),
    ];
    for change in invalid {
        assert!(matches!(refused(change), GroupError::InvalidRequest(_)));
    }
    assert_eq!(
        refused(&|client| client.beat.assignor = Some("x".to_owned())),
        GroupError::UnsupportedAssignor
    );
    assert_eq!(refused(&|client| client.beat.group.clear()), GroupError::InvalidGroupId);
    assert_eq!(refused(&|client| client.epoch = 4), GroupError::GroupIdNotFound);
    assert_eq!(world.state_of("g"), None, "nothing was made");
    world.beat(&mut a).expect("in");
    let mut stranger = Client::new("x", &["t"]);
    stranger.epoch = 1;
    assert_eq!(world.beat(&mut stranger), Err(GroupError::UnknownMemberId));
    a.epoch = 2;
    assert_eq!(world.beat(&mut a), Err(GroupError::FencedMemberEpoch));
}

#[test]
fn a_lost_answer_is_no_fencing() {
    let (mut world, mut a, mut b) = three();
    world.beat(&mut a).expect("in");
    world.beat(&mut b).expect("in");
    world.settle(&mut [&mut a, &mut b]);
    let before = a.clone();
    world.leave(&b, -1).expect("it goes");
    world.beat(&mut a).expect("in");
    assert_eq!((a.epoch, a.owned.len()), (3, 3));
    let mut again = before.clone();
    world.beat(&mut again).expect("the answer was lost");
    assert_eq!((again.epoch, again.numbers()), (a.epoch, a.numbers()));
    let mut liar = before;
    liar.owned.insert((topic_id("x"), 0));
    assert_eq!(world.beat(&mut liar), Err(GroupError::FencedMemberEpoch));
}

#[test]
fn a_member_that_is_not_heard_of_is_gone_and_one_that_gives_nothing_up_as_well() {
    let (mut world, mut a, mut b) = three();
    world.beat(&mut a).expect("in");
    world.beat(&mut b).expect("in");
    // Both send heartbeats; the first never says that it gave up.
    let keep = a.clone();
    for _ in 0..9 {
        world.pass_ms(9_000);
        let mut silent = Client { owned: keep.owned.clone(), epoch: 1, ..keep.clone() };
        let _ = world.beat(&mut silent);
        world.beat(&mut b).expect("in");
    }
    world.beat(&mut b).expect("in");
    assert_eq!(b.owned.len(), 3);
    assert_eq!(world.beat(&mut a), Err(GroupError::UnknownMemberId));
    world.pass_ms(46_000);
    assert_eq!(world.described().state, "Empty");
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let (mut world, mut a, mut b) = three();
    a.beat.instance = Some("i".to_owned());
    world.beat(&mut a).expect("in");
    world.beat(&mut b).expect("in");
    world.settle(&mut [&mut a, &mut b]);
    let mut again = Client { epoch: 0, owned: Partitions::default(), ..a.clone() };
    again.beat.member = "a2".to_owned();
    assert_eq!(world.beat(&mut again), Err(GroupError::UnreleasedInstanceId));
    assert_eq!(world.leave(&a, -2).expect("for a while").epoch, -2);
    let epoch = world.described().epoch;
    world.beat(&mut again).expect("it is back");
    assert_eq!((again.epoch, again.numbers()), (epoch, a.numbers()), "nothing moved");
    assert_eq!(world.beat(&mut a), Err(GroupError::FencedInstanceId));
    assert_eq!(world.described().members.len(), 2);
    world.fail_over();
    world.beat(&mut again).expect("the other coordinator knows it");
}

#[test]
fn a_failover_goes_on_where_it_was() {
    let (mut world, mut a, mut b) = three();
    world.beat(&mut a).expect("in");
    world.beat(&mut b).expect("in");
    world.beat(&mut a).expect("it is to give up");
    let before = world.described();
    world.fail_over();
    assert_eq!(world.described(), before);
    world.settle(&mut [&mut a, &mut b]);
    assert_eq!((a.owned.len(), b.owned.len(), a.epoch), (2, 1, 2));
    world.leave(&b, -1).expect("it goes");
    world.fail_over();
    world.settle(&mut [&mut a]);
    assert_eq!(a.owned.len(), 3);
}

#[test]
fn nothing_is_told_before_it_is_committed_and_nothing_that_was_not_counts() {
    let (mut world, mut a, mut b) = three();
    world.beat(&mut a).expect("in");
    world.commits_at_once = false;
    let request = world.ask(b.request());
    let other = world.ask(a.request());
    assert_eq!((world.answer(request), world.answer(other)), (None, None));
    world.fail_next(AppendError::Unavailable);
    assert_eq!(world.answer(request), Some(Answer::Beat(Err(GroupError::CoordinatorNotAvailable))));
    if world.appends.is_empty() {
        assert!(world.answer(other).is_some());
    } else {
        let meanwhile = world.ask(b.request());
        assert_eq!(world.answer(meanwhile), Some(Answer::Beat(Err(GroupError::CoordinatorNotAvailable))));
        world.commit_first();
        assert_eq!(world.answer(other), Some(Answer::Beat(Err(GroupError::CoordinatorNotAvailable))));
    }
    world.commits_at_once = true;
    world.commit_all();
    let before = world.described();
    world.fail_over();
    assert_eq!(world.described(), before, "it is what its records say");
    world.beat(&mut b).expect("in");
    world.settle(&mut [&mut a, &mut b]);
    assert_eq!(a.owned.len() + b.owned.len(), 3);
}

#[test]
fn offsets_are_committed_and_read_at_the_members_epoch() {
    let (mut world, mut a, mut b) = three();
    world.beat(&mut a).expect("in");
    let request = world.commit(a.identity(), 5);
    assert_eq!(world.committed(request), Ok(vec![Ok(())]));
    world.beat(&mut b).expect("in");
    world.settle(&mut [&mut a, &mut b]);
    let behind = Identity { generation: 1, ..a.identity() };
    let request = world.commit(behind.clone(), 6);
    assert_eq!(world.committed(request), Err(GroupError::StaleMemberEpoch));
    let request = world.commit(Identity { member: "x".to_owned(), ..a.identity() }, 6);
    assert_eq!(world.committed(request), Err(GroupError::UnknownMemberId));
    let request = world.commit(nobody("g"), 6);
    assert_eq!(world.committed(request), Err(GroupError::UnknownMemberId));
    let old = Commit { member: a.identity(), offsets: vec![new_offset("t", 0, 6)], ..Commit::default() };
    let Answer::Committed(result) = world.now_answered(Request::Commit(old)) else { panic!() };
    assert_eq!(result, Err(GroupError::UnsupportedVersion));
    let mut fetched = |member: Option<&str>, epoch| {
        let member = member.map(str::to_owned);
        let fetch = FetchOffsets { group: "g".to_owned(), member, epoch, ..FetchOffsets::default() };
        let Answer::Offsets(result) = world.now_answered(Request::FetchOffsets(fetch)) else { panic!() };
        result.map(|offsets| offsets.len())
    };
    assert_eq!(fetched(None, -1), Ok(1));
    assert_eq!(fetched(Some("a"), a.epoch), Ok(1));
    assert_eq!(fetched(Some("a"), 1), Err(GroupError::StaleMemberEpoch));
    assert_eq!(fetched(Some("x"), 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_group_is_listed_deleted_and_leaves_nothing_behind() {
    let (mut world, mut a, _) = three();
    world.beat(&mut a).expect("in");
    let mut listed = || match world.now_answered(Request::List) {
        Answer::Listed(listed) => listed.groups,
        other => panic!("{other:?}"),
    };
    let groups = listed();
    assert_eq!((groups[0].protocol, groups[0].state), (Protocol::Consumer, "Stable"));
    assert_eq!(world.state_of("g"), None, "it is none of the classic protocol");
    let delete = Request::Delete { group: "g".to_owned() };
    assert_eq!(world.now_answered(delete.clone()), Answer::Deleted(Err(GroupError::NonEmptyGroup)));
    world.leave(&a, -1).expect("it goes");
    assert_eq!(world.now_answered(delete), Answer::Deleted(Ok(())));
    world.fail_over();
    let Answer::Listed(listed) = world.now_answered(Request::List) else { panic!() };
    assert_eq!(listed.groups, []);
}

#[test]
fn a_group_has_only_so_many_members() {
    let mut world = World::with(GroupConfig { consumer_group_size_max: 1, ..GroupConfig::default() });
    world.topic("t", 3);
    let mut a = Client::new("a", &["t"]);
    world.beat(&mut a).expect("in");
    assert_eq!(world.beat(&mut Client::new("b", &["t"])), Err(GroupError::GroupMaxSizeReached));
    let mut wide = Client::new("a", &["t"]);
    wide.epoch = a.epoch;
    wide.beat.topics = Some((0..1000).map(|number| format!("{number:08000}")).collect());
    assert_eq!(world.beat(&mut wide), Err(GroupError::GroupTooLarge));
    world.beat(&mut a).expect("in");
}
