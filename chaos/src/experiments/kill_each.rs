//! Each process of a cluster killed in turn while requests run.
//!
//! A node that dies takes the streams that it carries with it, and no others; a coordinator that dies, those of the
//! clients that are connected to it. Everything else goes on, and what died comes back as itself.

use std::time::Duration;

use super::{Hypotheses, Plan, Step};
use crate::target::Process;

/// A request of 48 tokens takes seconds on two busy cores; this is far beyond.
const DEADLINE: Duration = Duration::from_secs(60);
/// Sockets of a killed process close at once. The rest is for machines whose cores are all busy.
const FAILURE_WINDOW: Duration = Duration::from_secs(5);
/// Restart with back-off (at most 5 s), loading the model, joining, and the first report to every coordinator.
const RECOVERY_BOUND: Duration = Duration::from_secs(60);

/// What varies from one run to another.
#[derive(Clone, Copy, Debug)]
pub struct KillEach {
    /// How often each process is killed.
    pub rounds: u16,
    /// How many clients ask meanwhile.
    pub clients: u16,
    /// The seed of their prompts.
    pub seed: u64,
}

/// The plan for these processes: nodes before coordinators in odd rounds, the other way round in even ones.
#[must_use]
pub fn kill_each(processes: &[Process], KillEach { rounds, clients, seed }: KillEach) -> Plan {
    let ids = |round: u16| {
        let mut ids: Vec<&str> = processes.iter().map(|process| process.id.as_str()).collect();
        // The record has coordinators first.
        if !round.is_multiple_of(2) {
            ids.reverse();
        }
        ids.into_iter().map(move |id| Step { round, victim: id.to_owned() })
    };
    let hypotheses =
        Hypotheses { deadline: DEADLINE, failure_window: FAILURE_WINDOW, recovery_bound: RECOVERY_BOUND };
    Plan::new("kill-each", seed, clients, (1..=rounds).flat_map(ids).collect(), hypotheses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Role;

    #[test]
    fn the_plan_reads_as_what_will_be_done() {
        let process =
            |id: &str, role| Process { id: id.to_owned(), role, pid: 1, grpc: "127.0.0.1:1".to_owned() };
        let processes = [process("coordinator-1", Role::Coordinator), process("node-1", Role::Node)];
        let plan = kill_each(&processes, KillEach { rounds: 2, clients: 4, seed: 9 });
        let expected = "\
kill-each, seed 9: 4 clients, 8 prompts
each request ends within 60s, with its prompt's own answer
requests fail only within 5s after a kill
a killed process is back within 60s
round 1: kill node-1
round 1: kill coordinator-1
round 2: kill coordinator-1
round 2: kill node-1
";
        assert_eq!(plan.to_string(), expected);
    }
}
