//! A connection of the producer, and what waits on it for an answer.

use crate::producer::partition::Batch;
use crate::wake::Bell;
use net::client::any_socket::AnySocket;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// A request without an answer yet.
#[derive(Debug)]
pub struct Request {
    pub correlation: i32,
    pub sent_ns: u64,
    pub batches: Vec<Batch>,
    /// Of each batch, in bytes.
    pub bytes: Vec<usize>,
}

pub struct Link {
    pub number: usize,
    pub broker: i32,
    pub bell: Bell,
    pub in_flight: RefCell<VecDeque<Request>>,
    pub socket: RefCell<Option<Rc<AnySocket>>>,
    /// The reader has ended; the connection is of no more use.
    pub lost: Cell<bool>,
    /// Since when it cannot be connected; 0: it can.
    pub down_since_ns: Cell<u64>,
    correlation: Cell<i32>,
}

impl Link {
    pub fn new(number: usize, broker: i32) -> Rc<Self> {
        Rc::new(Self {
            number,
            broker,
            bell: Bell::default(),
            in_flight: RefCell::default(),
            socket: RefCell::default(),
            lost: Cell::new(false),
            down_since_ns: Cell::new(0),
            correlation: Cell::new(0),
        })
    }

    /// Ends the connection, if there is one; the link's task sees it.
    pub fn disconnect(&self) {
        if let Some(socket) = &*self.socket.borrow() {
            socket.shutdown();
        }
    }

    pub fn next_correlation(&self) -> i32 {
        self.correlation.set(self.correlation.get().wrapping_add(1));
        self.correlation.get()
    }
}
