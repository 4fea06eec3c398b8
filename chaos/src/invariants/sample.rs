//! A history in which every promise holds, for tests that break one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::experiments::{KillEach, Plan, kill_each};
use crate::history::{History, Kill, Outcome, Request, Return};
use crate::load::Answer;
use crate::target::{NodeSeen, Process, Role, Snapshot};

/// Where the victim answers.
pub(crate) const ADDRESS: &str = "127.0.0.1:1";

pub(crate) fn healthy() -> (Plan, History) {
    let victim = Process { id: "node-1".to_owned(), role: Role::Node, pid: 7, grpc: ADDRESS.to_owned() };
    let plan = kill_each(std::slice::from_ref(&victim), KillEach { rounds: 1, clients: 1, seed: 1 });
    let model = ("m".to_owned(), "1".to_owned());
    let node = NodeSeen { id: 1, lost: false, report_age: Some(Duration::ZERO), ready: vec![model.clone()] };
    let whole = Snapshot {
        coordinator: 1,
        leader: Some(1),
        term: 1,
        applied: 9,
        quorum_age: None,
        coordinators: BTreeSet::from([1]),
        nodes: BTreeMap::from([(ADDRESS.to_owned(), node)]),
        models: BTreeMap::from([(model, 1)]),
        violations: Vec::new(),
    };
    let answer = Answer { tokens: vec![1, 2], text: "ab".to_owned() };
    let at = Duration::from_secs(10);
    let process = Process { pid: 8, ..victim.clone() };
    let back = Some(Return { at: at + Duration::from_secs(2), process, after: whole.clone() });
    let request = Request {
        client: 0,
        prompt: 0,
        began: at + Duration::from_millis(10),
        ended: at + Duration::from_secs(1),
        longest_gap: Duration::from_millis(20),
        outcome: Outcome::Answered(answer.clone()),
    };
    let history = History {
        references: vec![answer; plan.prompts.len()],
        kills: vec![Kill { round: 1, victim, at, before: whole.clone(), back }],
        requests: vec![request],
        finally: BTreeMap::from([(ADDRESS.to_owned(), Some(whole))]),
    };
    (plan, history)
}
