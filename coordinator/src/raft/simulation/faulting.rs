//! Brings faults about and ends them, takes processes down and starts them again.

use std::path::PathBuf;
use std::time::Duration;

use helixflow_env::disk::DiskFaults;
use helixflow_env::{Disk, Randomness};

use super::faults::{Fault, Planned};
use super::host::{Process, name};
use super::world::{LATENCY_MS, World};

/// A process that ended by itself is started again after so long.
const RESTART_MS: u64 = 300;

impl World<'_> {
    pub(super) fn begin_faults(&mut self, now: u64) {
        while let Some(next) = self.planned.pop_if(|next| next.from_ms <= now) {
            self.note(&format!("{:?} until {}", next.fault, next.until_ms));
            self.begin(&next.fault);
            self.under_way.push(next);
        }
    }

    pub(super) fn end_faults(&mut self, now: u64) {
        let ended: Vec<Planned> = self.under_way.extract_if(.., |fault| fault.until_ms <= now).collect();
        if ended.is_empty() {
            return;
        }
        self.heal();
        for Planned { fault, .. } in &ended {
            if let Some(id) = fault.takes_down() {
                self.restarts.insert(id, now);
            }
        }
        // Faults overlap: everything was undone, and what is still under way is done again.
        for Planned { fault, .. } in self.under_way.clone() {
            if fault.takes_down().is_none() {
                self.begin(&fault);
            }
        }
    }

    /// Mends every disk and every link.
    pub(super) fn heal(&mut self) {
        self.shared.machines.mend_cuts();
        for (a, seat) in &self.seats {
            seat.disk.set_faults(DiskFaults::default());
            for b in self.seats.keys().filter(|b| *b != a) {
                self.sim.repair_oneway(name(*a), name(*b));
                let latency = Duration::from_millis(LATENCY_MS);
                self.sim.set_link_max_message_latency(name(*a), name(*b), latency);
            }
        }
    }

    pub(super) fn begin(&mut self, fault: &Fault) {
        let others: Vec<u64> = self.seats.keys().copied().filter(|id| !fault.is_at(*id)).collect();
        match fault {
            Fault::Kill(id) => self.take_down(*id),
            Fault::PowerCut(id) => self.cut_power(*id),
            Fault::BitRot(id) => self.rot(*id),
            Fault::Isolate(id) => {
                others.iter().for_each(|other| self.cut(*id, *other));
                others.iter().for_each(|other| self.cut(*other, *id));
            }
            Fault::Cut(a, b) => {
                self.cut(*a, *b);
                self.cut(*b, *a);
            }
            Fault::OneWay(a, b) => self.cut(*a, *b),
            Fault::Muted(id) => others.iter().for_each(|other| self.cut(*id, *other)),
            Fault::Deaf(id) => others.iter().for_each(|other| self.cut(*other, *id)),
            Fault::Delay(a, b, delay) => {
                self.sim.set_link_max_message_latency(name(*a), name(*b), *delay);
            }
            Fault::SlowDisk(id, sync_delay) => {
                self.set_disk(*id, DiskFaults { sync_delay: *sync_delay, ..DiskFaults::default() });
            }
            Fault::FullDisk(id) => self.set_disk(*id, DiskFaults { full: true, ..DiskFaults::default() }),
            Fault::FailingDisk(id) => {
                self.set_disk(*id, DiskFaults { failing: true, ..DiskFaults::default() });
            }
        }
    }

    fn set_disk(&self, id: u64, faults: DiskFaults) {
        self.seats[&id].disk.set_faults(faults);
    }

    fn cut(&self, from: u64, to: u64) {
        self.sim.partition_oneway(name(from), name(to));
        self.shared.machines.cut(name(from), name(to));
    }

    fn take_down(&mut self, id: u64) {
        if self.sim.is_host_running(name(id)) {
            self.sim.crash(name(id));
        }
        self.shared.machines.process_ended(name(id));
        *self.seats[&id].process.lock() = Process::Down;
        self.restarts.remove(&id);
    }

    fn cut_power(&mut self, id: u64) {
        self.take_down(id);
        self.seats[&id].disk.crash(&self.random);
        self.shared.machines.forget(&name(id));
    }

    /// Flips a bit of what was durable before the last batch: at the very end of a log damage looks like a torn end.
    fn rot(&mut self, id: u64) {
        self.cut_power(id);
        let disk = self.seats[&id].disk.clone();
        let files = disk.list("/data/log".as_ref()).unwrap_or_default();
        let segments: Vec<&PathBuf> = files.iter().filter(|path| path.extension().is_some()).collect();
        let Some((last, closed)) = segments.split_last() else { return };
        let draw = |bound: u64| self.random.next_u64() % bound.max(1);
        let (path, offset) = match closed.first() {
            Some(closed) => (*closed, draw(6_000)),
            // Its header.
            None => (*last, draw(60)),
        };
        let mask = 1 << draw(8);
        self.note(&format!("a bit of {} flips at {offset}", path.display()));
        if disk.rot(path, offset, mask).is_ok() {
            self.rotten.insert(id);
        }
    }

    /// Starts what is down and due, and takes down what ended by itself.
    pub(super) fn restart(&mut self, now: u64) -> Result<(), String> {
        let ids: Vec<u64> = self.seats.keys().copied().collect();
        for id in ids {
            let process = self.seats[&id].process.lock().clone();
            if let Process::Ended(reason) = process
                && self.sim.is_host_running(name(id))
            {
                self.explain(id, &reason)?;
                self.sim.crash(name(id));
                self.shared.machines.process_ended(name(id));
                *self.seats[&id].process.lock() = Process::Down;
                self.restarts.entry(id).or_insert(now + RESTART_MS);
            }
        }
        let held = |id: u64| self.under_way.iter().any(|planned| planned.fault.takes_down() == Some(id));
        let due: Vec<u64> =
            self.restarts.iter().filter(|(id, at)| **at <= now && !held(**id)).map(|(id, _)| *id).collect();
        for id in due {
            self.restarts.remove(&id);
            self.shared.machines.forget(&name(id));
            if !self.sim.is_host_running(name(id)) {
                self.sim.bounce(name(id));
            }
        }
        Ok(())
    }

    /// A process may end by itself only when its disk refused something, or has rotted.
    fn explain(&self, id: u64, reason: &str) -> Result<(), String> {
        if self.rotten.contains(&id) || self.seats[&id].was_refused() {
            Ok(())
        } else {
            Err(format!("{} ended without a reason: {reason}", name(id)))
        }
    }
}
