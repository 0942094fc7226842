//! Many questions at once, each on a thread of its own, and one deadline for all: a node that says
//! nothing holds up nobody.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Asks each; the answers in the order of the questions, none where it did not come in time. A thread
/// that still waits at the deadline is left behind: it ends with the process.
pub fn ask_all<Q, A>(
    questions: Vec<Q>,
    deadline: Instant,
    ask: impl Fn(Q) -> A + Send + Sync + 'static,
) -> Vec<Option<A>>
where
    Q: Send + 'static,
    A: Send + 'static,
{
    let mut answers: Vec<Option<A>> = questions.iter().map(|_| None).collect();
    let coming = begin(questions, ask);
    for _ in 0..answers.len() {
        let Some((at, answer)) = next(&coming, deadline) else { break };
        answers[at] = Some(answer);
    }
    answers
}

/// Asks each, and takes the first answer that is one; else why each of those that came is none.
pub fn first_of<Q, A, E>(
    questions: Vec<Q>,
    deadline: Instant,
    ask: impl Fn(Q) -> Result<A, E> + Send + Sync + 'static,
) -> Result<A, Vec<E>>
where
    Q: Send + 'static,
    A: Send + 'static,
    E: Send + 'static,
{
    let asked = questions.len();
    let coming = begin(questions, ask);
    let mut failures = Vec::new();
    for _ in 0..asked {
        match next(&coming, deadline) {
            Some((_, Ok(answer))) => return Ok(answer),
            Some((_, Err(failure))) => failures.push(failure),
            None => break,
        }
    }
    Err(failures)
}

fn begin<Q, A>(questions: Vec<Q>, ask: impl Fn(Q) -> A + Send + Sync + 'static) -> Receiver<(usize, A)>
where
    Q: Send + 'static,
    A: Send + 'static,
{
    let (sender, receiver) = mpsc::channel();
    let ask = Arc::new(ask);
    for (at, question) in questions.into_iter().enumerate() {
        let (sender, ask) = (sender.clone(), Arc::clone(&ask));
        // Whoever asked may have gone on.
        std::thread::spawn(move || drop(sender.send((at, ask(question)))));
    }
    receiver
}

fn next<A>(coming: &Receiver<(usize, A)>, deadline: Instant) -> Option<(usize, A)> {
    coming.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

/// What is left of the time, and a moment for those that come late.
pub fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn one_that_says_nothing_holds_up_nobody() {
        // Its sender lives as long as the test: whoever waits for it waits for ever.
        let (_silent, never) = mpsc::channel::<u32>();
        let never = Mutex::new(never);
        let ask = move |question: u32| {
            if question == 1 { never.lock().expect("one asks").recv().unwrap_or(0) } else { question * 10 }
        };
        let deadline = Instant::now() + Duration::from_millis(300);
        assert_eq!(ask_all(vec![0, 1, 2], deadline, ask), [Some(0), None, Some(20)]);
        assert!(Instant::now() < deadline + Duration::from_secs(5));
    }

    #[test]
    fn the_first_answer_counts_and_without_one_every_failure() {
        let ask = |question: u32| if question == 2 { Ok(question) } else { Err(question) };
        let deadline = Instant::now() + Duration::from_secs(60);
        assert_eq!(first_of(vec![1, 2, 3], deadline, ask), Ok(2));
        let mut failures = first_of(vec![1, 3], deadline, ask).expect_err("nobody");
        failures.sort_unstable();
        assert_eq!(failures, [1, 3]);
        assert_eq!(first_of(Vec::<u32>::new(), deadline, ask), Err(Vec::new()));
    }
}
