//! Sends a transaction's end to the leaders of its partitions, in rounds (`engine::transactions::rounds`), until each has
//! its marker, is gone, or this coordinator is none any more.

use super::hosting::Hosting;
use super::shard_loop::ShardLoop;
use engine::control::Command;
use engine::coordinator::{StateMachine, Tenure};
use engine::port::Errand;
use engine::transactions::rounds::{Fenced, Rounds, coordinator_epoch};
use engine::transactions::{SendMarkers, TransactionalIds};
use std::rc::Rc;
use std::time::Duration;

/// As long as metadata are waited for.
const LEARN_MAX: Duration = Duration::from_secs(5);

/// Starts a task that lasts until all markers are written or the leadership is over.
pub fn start(
    shard: &Rc<ShardLoop>,
    hosting: &Rc<Hosting<TransactionalIds>>,
    tenure: Tenure,
    effect: SendMarkers,
) {
    let Some(term) = hosting.term_of(tenure) else { return };
    let epoch = coordinator_epoch(&shard.view(), TransactionalIds::TOPIC, tenure.partition, term);
    let (shard, hosting) = (Rc::clone(shard), Rc::clone(hosting));
    let marking = Marking { shard, hosting, tenure, rounds: Rounds::new(effect, epoch) };
    glommio::spawn_local(marking.run()).detach();
}

struct Marking {
    shard: Rc<ShardLoop>,
    hosting: Rc<Hosting<TransactionalIds>>,
    tenure: Tenure,
    rounds: Rounds,
}

impl Marking {
    async fn run(mut self) {
        let mut knows_all = false;
        while self.hosting.term_of(self.tenure).is_some() {
            let Ok(()) = round(&self.shard, &mut self.rounds, knows_all).await else { return };
            if self.rounds.is_done() {
                return self.done();
            }
            // What this node's metadata does not know is gone only if they are new enough.
            knows_all = self.rounds.has_unknown(&self.shard.view()) && self.learn_metadata().await;
            glommio::timer::sleep(self.rounds.next_wait()).await;
        }
    }

    fn done(self) {
        let ended = self.rounds.ended_by_others();
        if !ended.is_empty() {
            tracing::warn!(?ended, news = ?self.rounds.news(), "a transaction was ended by another marker");
        }
        self.hosting.tell(self.tenure, self.rounds.news());
    }

    /// Any command that is carried out: its answer comes when this node has all that was decided before.
    async fn learn_metadata(&self) -> bool {
        let ticket = self.shard.begin_control(Command::AllocateProducerIds { count: 1 });
        self.shard.end_control(ticket, self.shard.now().plus(LEARN_MAX)).await.is_ok()
    }
}

/// Asks all leaders.
async fn round(shard: &Rc<ShardLoop>, rounds: &mut Rounds, knows_all: bool) -> Result<(), Fenced> {
    // All at once: each takes the time of a commit.
    let asked = rounds.begin(&shard.view(), knows_all);
    let begin = |(journal, markers)| (journal, shard.begin_errand(journal, Errand::Mark(markers)));
    let begun: Vec<_> = asked.into_iter().map(begin).collect();
    for (journal, ticket) in begun {
        let answer = match ticket {
            Some(ticket) => shard.end_errand(ticket).await,
            None => None,
        };
        rounds.answered(journal, answer)?;
    }
    Ok(())
}
