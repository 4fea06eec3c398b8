//! Plans: which faults strike in which order, under which load, and what is promised meanwhile. They are data.

mod kill_each;

use std::fmt;
use std::time::Duration;

use crate::load::{Prompt, prompts};

pub use kill_each::{KillEach, kill_each};

/// What to do, and what to hold it to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The experiment's name.
    pub name: &'static str,
    /// The seed of its prompts.
    pub seed: u64,
    /// How many clients ask.
    pub clients: u16,
    /// What they ask.
    pub prompts: Vec<Prompt>,
    /// The faults, in order.
    pub steps: Vec<Step>,
    /// The promises.
    pub hypotheses: Hypotheses,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// From 1.
    pub round: u16,
    /// The id of the process to kill.
    pub victim: String,
}

/// What must hold throughout, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hypotheses {
    /// Each request ends within this.
    pub deadline: Duration,
    /// Requests fail only within this after a kill.
    pub failure_window: Duration,
    /// A killed process is back, and all replicas ready, within this.
    pub recovery_bound: Duration,
}

impl Plan {
    fn new(name: &'static str, seed: u64, clients: u16, steps: Vec<Step>, hypotheses: Hypotheses) -> Self {
        Self { name, seed, clients, prompts: prompts(seed, PROMPTS, TOKENS), steps, hypotheses }
    }
}

/// Prompts of an experiment: each is answered once before any fault, and that takes time.
const PROMPTS: usize = 8;
/// Tokens of each answer: long enough that a kill strikes streams in the middle.
const TOKENS: u32 = 48;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hypotheses { deadline, failure_window, recovery_bound } = self.hypotheses;
        writeln!(
            f,
            "{}, seed {}: {} clients, {} prompts",
            self.name,
            self.seed,
            self.clients,
            self.prompts.len()
        )?;
        writeln!(f, "each request ends within {deadline:?}, with its prompt's own answer")?;
        writeln!(f, "requests fail only within {failure_window:?} after a kill")?;
        writeln!(f, "a killed process is back within {recovery_bound:?}")?;
        self.steps.iter().try_for_each(|step| writeln!(f, "round {}: kill {}", step.round, step.victim))
    }
}
