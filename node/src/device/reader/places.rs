//! Where boards may be: each place has a thread from its first call on, so that one which hangs holds up no other.
//!
//! The thread that opens a board serves it afterwards. A place that fails is tried again, with growing pauses, until there
//! is a board. What there is by now is told each time that it changes; how long a node waits for the rest is the node's
//! affair, so there is no deadline here.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use helixflow_control::Backoff;
use helixflow_model::BoardInfo;
use parking_lot::Mutex;

use super::output::Output;
use super::seats::{Seats, answer_all};
use crate::device::driver::{Driver, Place, Shown, Tell, pause};
use crate::device::protocol::{Inventory, Line};

/// The pauses between tries of a place that fails. A board that is being reset is back within seconds, and one that is
/// broken costs a call a minute.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// A driver's number and a place's below it, counted from 1; 0 is the driver itself. Boards are told in this order.
type Key = (usize, usize);

/// What is known of a place.
enum State {
    Opening(String),
    Open(BoardInfo),
    Note(String),
    Trouble(String),
}

/// All places of this machine.
pub(super) struct Places {
    states: Mutex<BTreeMap<Key, State>>,
    seats: Arc<Seats>,
    output: Arc<Output>,
}

impl Places {
    /// Looks for the boards of these drivers, each on a thread of its own.
    pub(super) fn look(drivers: Vec<Place<Shown>>, seats: Arc<Seats>, output: Arc<Output>) -> io::Result<()> {
        let opening = drivers
            .iter()
            .enumerate()
            .map(|(number, driver)| ((number, 0), State::Opening(driver.name.clone())));
        let places = Arc::new(Self { states: Mutex::new(opening.collect()), seats, output });
        for (number, driver) in drivers.into_iter().enumerate() {
            let places = Arc::clone(&places);
            Builder::new().name(driver.name.clone()).spawn(move || places.look_at(number, driver))?;
        }
        Ok(())
    }

    fn look_at(self: &Arc<Self>, number: usize, driver: Place<Shown>) {
        let Shown { places, note } = self.open((number, 0), driver);
        self.change(|states| {
            states.remove(&(number, 0));
            states.extend(note.map(|note| ((number, 0), State::Note(note))));
            let names = places.iter().map(|place| place.name.clone());
            states.extend((1..).map(|at| (number, at)).zip(names.map(State::Opening)));
        });
        for (at, place) in (1..).zip(places) {
            let (name, shared) = (place.name.clone(), Arc::clone(self));
            let thread = Builder::new().name(name.clone()).spawn(move || shared.serve((number, at), place));
            if let Err(error) = thread {
                let trouble = State::Trouble(format!("{name} has no thread to be read on: {error}"));
                self.change(|states| drop(states.insert((number, at), trouble)));
            }
        }
    }

    /// Opens a board and answers for it.
    fn serve(&self, key: Key, place: Place<Box<dyn Driver>>) {
        let Place { name, mut open } = place;
        let seats = Arc::clone(&self.seats);
        let seated = move || {
            let driver = open()?;
            let requests =
                seats.take(&driver.info().board).ok_or("shows a board that another place shows")?;
            Ok((driver, requests))
        };
        let (mut driver, requests) = self.open(key, Place { name, open: Box::new(seated) });
        let (info, output) = (driver.info().clone(), Arc::clone(&self.output));
        let tell: Tell = Arc::new(move |event| output.write(&Line::Fault(info.board.clone(), event)));
        // Before the board is told: from then on no fault is missed.
        driver.watch(&tell);
        self.change(|states| drop(states.insert(key, State::Open(driver.info().clone()))));
        answer_all(driver.as_mut(), &requests, &tell, &self.output);
    }

    /// Opens a place, for as many tries as it takes.
    fn open<T>(&self, key: Key, mut place: Place<T>) -> T {
        let mut failures = 0_u32;
        loop {
            match (place.open)() {
                Ok(opened) => return opened,
                Err(why) => {
                    let trouble = State::Trouble(format!("{} {why}", place.name));
                    self.change(|states| drop(states.insert(key, trouble)));
                }
            }
            failures = failures.saturating_add(1);
            pause(AGAIN.pause(failures));
        }
    }

    /// Changes what is known, and tells it where it is another thing then.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<Key, State>)) {
        let mut states = self.states.lock();
        let before = inventory(&states);
        change(&mut states);
        let now = inventory(&states);
        if now != before {
            // While nobody else changes anything: the last line is the newest.
            self.output.write(&Line::Found(now));
        }
    }
}

fn inventory(states: &BTreeMap<Key, State>) -> Inventory {
    let mut found = Inventory::default();
    for state in states.values() {
        match state {
            State::Opening(name) => found.opening.push(name.clone()),
            State::Open(info) => found.boards.push(info.clone()),
            State::Note(note) => found.notes.push(note.clone()),
            State::Trouble(trouble) => found.trouble.push(trouble.clone()),
        }
    }
    found
}
