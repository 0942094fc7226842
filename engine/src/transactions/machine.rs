//! The transactional ids of one partition of `__transaction_state`: gives each request to what it
//! asks for, each outcome to who waits for it, each timer to whom it is about.

use super::error::TransactionError;
use super::ids::Ids;
use super::request::{Answer, Request};
use super::state::State;
use super::transaction::{Next, Transaction};
use super::words::{
    Asker, Pending, TransactionFigures, TransactionNews, TransactionTimer, TransactionWords, Turn,
};
use super::{add, describe, end, init, record, room};
use crate::batch::records::Record;
use crate::clock::Now;
use crate::coordinator::fields::BadRecord;
use crate::coordinator::{AppendError, InTransaction, KeyValue, Output, StateMachine, Unready};
use crate::ids::Offset;
use crate::planted::{Bug, is_planted};
use crate::port::RequestId;
use std::sync::Arc;

/// See the head of this file.
#[derive(Default)]
pub struct TransactionalIds {
    ids: Ids,
}

impl StateMachine for TransactionalIds {
    type Words = TransactionWords;

    const TOPIC: &'static str = super::TRANSACTIONS_TOPIC;

    fn name_in(request: &Request) -> Option<&str> {
        request.transactional_id().map(|id| &**id)
    }

    fn unready(request: &Request, why: Unready) -> Answer {
        refused(
            request,
            match why {
                Unready::NotCoordinator => TransactionError::NotCoordinator,
                Unready::Loading => TransactionError::CoordinatorLoadInProgress,
            },
        )
    }

    fn over_all<'a>(request: &Request, led: impl Iterator<Item = (&'a Self, bool)>, now: Now) -> Answer {
        let Request::List(filter) = request else { unreachable!("it is about one transactional id") };
        let (mut is_loading, mut transactions) = (false, Vec::new());
        for (machine, loads) in led {
            is_loading |= loads;
            if !loads {
                transactions.extend(describe::list(&machine.ids, filter, now.wall_ms));
            }
        }
        Answer::Listed { loading: is_loading, transactions }
    }

    /// A partition that is gone has no marker to get; that is seen when it is sent.
    fn topic_deleted(_: &Arc<str>) -> Option<TransactionNews> {
        None
    }

    fn load(&mut self, record: &Record<'_>, _: Option<InTransaction>, _: Now) -> Result<(), BadRecord> {
        let id: Arc<str> = record::decode_key(record.key.unwrap_or_default())?.into();
        match record.value {
            Some(value) => {
                let metadata = record::decode_value(value)?;
                self.ids.change(&id, |transaction| transaction.known = Some(metadata));
            }
            None => drop(self.ids.remove(&id)),
        }
        Ok(())
    }

    fn loaded(&mut self, turn: &mut Turn<'_>) {
        let state_of =
            |transaction: &Transaction| Some((transaction.id.clone(), transaction.known.as_ref()?.state));
        let open: Vec<(Arc<str>, State)> =
            self.ids.iter().filter_map(state_of).filter(|(_, state)| state.is_open()).collect();
        for (id, state) in open {
            match state {
                State::Prepare(_) if is_planted(Bug::PreparedForgotten) => {}
                State::Prepare(_) => end::send_markers(&mut self.ids, &id, turn),
                _ => end::watch(&mut self.ids, &id, turn),
            }
        }
        set_expiry(turn);
    }

    fn len(&self) -> usize {
        self.ids.count()
    }

    fn request(&mut self, id: RequestId, request: Request, turn: &mut Turn<'_>) {
        match request {
            Request::Init(asked) => init::init(&mut self.ids, id, &asked, turn),
            Request::Add(asked) => add::add(&mut self.ids, id, asked, turn),
            Request::End(asked) => end::end(&mut self.ids, id, &asked, turn),
            Request::Describe { transactional_id } => {
                turn.answer(id, Answer::Described(describe::describe(&self.ids, &transactional_id)));
            }
            Request::List(_) => unreachable!("it is about no single transactional id"),
        }
    }

    fn appended(&mut self, pending: Pending, result: Result<Offset, AppendError>, turn: &mut Turn<'_>) {
        let result = result.map(drop).map_err(TransactionError::from);
        let id = match pending {
            Pending::Init { id, request } => {
                self.decided(&id, result.is_ok(), turn);
                turn.answer(request, Answer::Initialised(result.map(|()| self.known(&id).told())));
                id
            }
            Pending::Add { id, requests } => {
                self.decided(&id, result.is_ok(), turn);
                end::watch(&mut self.ids, &id, turn);
                for (request, partitions) in requests {
                    turn.answer(request, Answer::Added(result.map(|()| vec![Ok(()); partitions])));
                }
                id
            }
            Pending::Prepare { id, request } => {
                self.decided(&id, result.is_ok(), turn);
                self.prepared(&id, request, result, turn);
                id
            }
            Pending::Complete { id } => {
                self.decided(&id, result.is_ok(), turn);
                match result {
                    Ok(()) => self.ids.change(&id, |transaction| transaction.is_marked = false),
                    Err(_) => end::complete_later(&id, turn),
                }
                id
            }
            Pending::Forget { id } => {
                self.decided(&id, result.is_ok(), turn);
                id
            }
        };
        add::go_on(&mut self.ids, &id, turn);
    }

    fn tick(&mut self, timer: TransactionTimer, turn: &mut Turn<'_>) {
        match timer {
            TransactionTimer::Timeout { id } => end::time_out(&mut self.ids, &id, turn),
            TransactionTimer::Waiting { id } => add::give_up(&mut self.ids, &id, turn),
            TransactionTimer::Complete { id } => end::complete_again(&mut self.ids, &id, turn),
            TransactionTimer::Expiry => {
                room::expire(&mut self.ids, turn);
                set_expiry(turn);
            }
        }
    }

    fn told(&mut self, news: &TransactionNews, turn: &mut Turn<'_>) {
        end::marked(&mut self.ids, news, turn);
    }

    fn resign(&mut self, pending: Vec<Pending>, out: &mut Vec<Output<TransactionWords>>) {
        let error = TransactionError::NotCoordinator;
        for pending in pending {
            let answers = match pending {
                Pending::Init { request, .. }
                | Pending::Prepare { request: Some((request, Asker::InitProducerId)), .. } => {
                    vec![(request, Answer::Initialised(Err(error)))]
                }
                Pending::Prepare { request: Some((request, Asker::EndTxn)), .. } => {
                    vec![(request, Answer::Ended(Err(error)))]
                }
                Pending::Add { requests, .. } => {
                    requests.into_iter().map(|(request, _)| (request, Answer::Added(Err(error)))).collect()
                }
                Pending::Prepare { request: None, .. }
                | Pending::Complete { .. }
                | Pending::Forget { .. } => Vec::new(),
            };
            out.extend(answers.into_iter().map(|(request, answer)| Output::Answer { request, answer }));
        }
        for waiting in self.ids.iter().flat_map(|transaction| &transaction.waiting) {
            let answer = Answer::Added(Err(error));
            out.push(Output::Answer { request: waiting.request, answer });
        }
    }

    fn live(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
        let known =
            self.ids.iter().filter_map(|transaction| Some((&transaction.id, transaction.known.as_ref()?)));
        known.map(|(id, known)| (record::key(id), record::value(known)))
    }

    /// The tombstone of an id that cannot be.
    fn void() -> KeyValue {
        (record::key(""), None)
    }

    fn count(&self, figures: &mut TransactionFigures, now: Now) {
        figures.ids += self.ids.count() as u64;
        figures.bytes += self.ids.bytes() as u64;
        figures.refused += self.ids.refused();
        for known in self.ids.iter().filter_map(|transaction| transaction.known.as_ref()) {
            let open_ms = describe::open_ms(known, now.wall_ms);
            figures.open += u64::from(open_ms >= 0);
            figures.oldest_ms = figures.oldest_ms.max(open_ms.max(0).unsigned_abs());
        }
    }
}

impl TransactionalIds {
    fn known(&self, id: &str) -> &super::metadata::TransactionMetadata {
        self.ids.get(id).and_then(|transaction| transaction.known.as_ref()).expect("it was committed")
    }

    /// What was on its way is committed, or is not. An id whose first record is not is none.
    fn decided(&mut self, id: &Arc<str>, is_committed: bool, turn: &mut Turn<'_>) {
        let transaction = self.ids.get(id).expect("an id stays while it is written");
        let is_gone = match &transaction.next {
            Some(Next::Forgotten) => is_committed,
            Some(Next::Known(_)) => !is_committed && transaction.known.is_none(),
            None => panic!("{id}: an outcome of nothing"),
        };
        if is_gone {
            let gone = self.ids.remove(id).expect("just seen");
            for waiting in gone.waiting {
                let answer = Answer::Added(Err(TransactionError::InvalidProducerIdMapping));
                turn.answer(waiting.request, answer);
            }
            return;
        }
        self.ids.change(id, |transaction| match transaction.next.take() {
            Some(Next::Known(next)) if is_committed => transaction.known = Some(next),
            _ => {}
        });
    }

    fn prepared(
        &mut self,
        id: &Arc<str>,
        request: Option<(RequestId, Asker)>,
        result: Result<(), TransactionError>,
        turn: &mut Turn<'_>,
    ) {
        match (request, result) {
            (None, _) => {}
            (Some((request, Asker::EndTxn)), result) => {
                turn.answer(request, Answer::Ended(result.map(|()| self.known(id).told())));
            }
            // It asks again when what was open is ended.
            (Some((request, Asker::InitProducerId)), Ok(())) => {
                turn.answer(request, Answer::Initialised(Err(TransactionError::ConcurrentTransactions)));
            }
            (Some((request, Asker::InitProducerId)), Err(error)) => {
                turn.answer(request, Answer::Initialised(Err(error)));
            }
        }
        end::watch(&mut self.ids, id, turn);
        match result {
            Ok(()) => end::send_markers(&mut self.ids, id, turn),
            // The time-out's own is tried again.
            Err(_) => end::time_out_later(id, turn),
        }
    }
}

fn set_expiry(turn: &mut Turn<'_>) {
    let next_ns = turn.after_ms(turn.config.expiry_interval_ms);
    turn.timers.set(next_ns, TransactionTimer::Expiry);
}

/// The answer that says only why not.
fn refused(request: &Request, error: TransactionError) -> Answer {
    match request {
        Request::Init(_) => Answer::Initialised(Err(error)),
        Request::Add(_) => Answer::Added(Err(error)),
        Request::End(_) => Answer::Ended(Err(error)),
        Request::Describe { .. } => Answer::Described(Err(error)),
        Request::List(_) => unreachable!("it is about no single transactional id"),
    }
}
