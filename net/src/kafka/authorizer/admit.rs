//! What is left of a request when who sent it was judged.
//!
//! Kafka's order: what may not be asked is taken out before anything is looked up, so that an answer cannot tell
//! whether it is there; the rest is carried out; then the answer gets the errors of what was taken out.

use super::judge::Judge;
use crate::kafka::codec::wire::RequestResponsePair;

/// How a request goes on.
pub enum Admission<R> {
    /// As it is.
    Whole,
    /// Without some of it; the answer is given to this afterwards.
    Part(Box<dyn FnOnce(&mut R)>),
    /// Not at all: this is the answer.
    Denied(R),
}

/// A request that can be judged.
pub trait Admit: RequestResponsePair {
    /// Takes out what may not be asked.
    fn admit(&mut self, judge: &Judge, version: i16) -> Admission<Self::Response>;
}

impl<R> Admission<R> {
    pub fn part(after: impl FnOnce(&mut R) + 'static) -> Self {
        Self::Part(Box::new(after))
    }

    /// As it is when `may`, else this answer.
    pub fn whole_if(may: bool, denied: impl FnOnce() -> R) -> Self {
        if may { Self::Whole } else { Self::Denied(denied()) }
    }

    /// The rest, and the answer with what was taken out behind it.
    pub fn without<T: 'static>(denied: Vec<T>, tell: impl FnOnce(&mut R, Vec<T>) + 'static) -> Self {
        if denied.is_empty() { Self::Whole } else { Self::part(move |response| tell(response, denied)) }
    }
}

/// Takes out those that may not be asked.
pub fn take_out<T>(list: &mut Vec<T>, may: impl Fn(&T) -> bool) -> Vec<T> {
    list.extract_if(.., |one| !may(one)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_is_told_behind_the_rest() {
        let mut list = vec![1, 2, 3, 4];
        let denied = take_out(&mut list, |one| one % 2 == 0);
        assert_eq!((&list, &denied), (&vec![2, 4], &vec![1, 3]));
        let Admission::Part(after) = Admission::without(denied, |answer: &mut Vec<i32>, denied| {
            answer.extend(denied);
        }) else {
            panic!("some were denied")
        };
        after(&mut list);
        assert_eq!(list, [2, 4, 1, 3]);
        assert!(matches!(Admission::without(Vec::<i32>::new(), |_: &mut (), _| {}), Admission::Whole));
        assert!(matches!(Admission::whole_if(false, || 7), Admission::Denied(7)));
    }
}
