//! Who joins the batch: in order, as far as places and pages go.

use helixflow_model::FinishReason;

use super::request::positions;
use super::scheduler::{Deliver, Scheduler, count};
use super::sequence::{Place, Running};

impl Scheduler {
    /// Moves what fits from the queue into the batch; to be called before each step.
    ///
    /// A continued choice that had all of its tokens already ends here.
    pub fn admit(&mut self, deliver: Deliver<'_>) {
        let places: Vec<Place> = self.waiting.keys().copied().collect();
        for place in places {
            if self.is_over(place) {
                self.end_choice(place, FinishReason::Length, deliver);
            } else if self.awaits_leader(place) {
                continue;
            } else if self.running.len() >= self.budget.sequences || !self.try_admit(place) {
                break;
            }
        }
    }

    /// Whether a continued choice already had all of its tokens.
    fn is_over(&self, place: Place) -> bool {
        let (Some(history), Some(request)) = (self.waiting.get(&place), self.requests.get(&place.request))
        else {
            return false;
        };
        request.ending.is_full(history.generated())
    }

    /// Whether the first choice of the request has yet to compute what this one could share.
    fn awaits_leader(&self, place: Place) -> bool {
        let leader = place.leader();
        if place == leader {
            return false;
        }
        match self.running.get(&leader) {
            Some(running) => running.computed < running.history.shareable(),
            None => self.waiting.contains_key(&leader),
        }
    }

    /// Moves a sequence into the batch. False when its pages are not free yet.
    fn try_admit(&mut self, place: Place) -> bool {
        let (Some(history), Some(request)) =
            (self.waiting.get(&place), self.requests.get_mut(&place.request))
        else {
            return true;
        };
        let positions = positions(history.prompt(), &request.ending);
        let Some(table) = self.pool.open(request.salt, history.tokens(), positions) else { return false };
        let Some(history) = self.waiting.remove(&place) else { return true };
        let running = Running::new(history, table);
        let cached = running.computed;
        let (prompt, generated) = (running.history.prompt(), running.history.generated());
        if place.choice == 0 {
            request.usage.cached = count(cached.min(prompt));
        }
        request.usage.replayed += count(generated - cached.saturating_sub(prompt));
        self.running.insert(place, running);
        true
    }
}
