//! Which coordinators a node knows: those of its configuration, where it begins, and those that the cluster has told.
//!
//! Once told, the cluster's word decides who gets reports: a coordinator that was added gets them, one that was removed
//! does not. Whom to ask for orders is wider: should all whom the cluster named be gone, the configured ones are asked too.

use std::collections::BTreeSet;

/// The addresses, `host:port` each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coordinators {
    configured: Vec<String>,
    /// Empty until the cluster has told.
    told: Vec<String>,
}

impl Coordinators {
    pub(crate) const fn new(configured: Vec<String>, told: Vec<String>) -> Self {
        Self { configured, told }
    }

    /// The same, as the cluster tells them now.
    pub(crate) fn told(&self, told: Vec<String>) -> Self {
        Self { configured: self.configured.clone(), told }
    }

    /// Who is to get reports.
    pub(crate) fn to_report_to(&self) -> BTreeSet<String> {
        let whose = if self.told.is_empty() { &self.configured } else { &self.told };
        whose.iter().cloned().collect()
    }

    /// Whom to ask at this attempt, counted from 0: each in turn, those of the cluster first.
    pub(crate) fn to_ask(&self, attempt: usize) -> Option<&String> {
        let others = self.configured.iter().filter(|address| !self.told.contains(address));
        let all: Vec<_> = self.told.iter().chain(others).collect();
        all.get(attempt.checked_rem(all.len())?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(configured: &[&str], told: &[&str]) -> Coordinators {
        let owned = |addresses: &[&str]| addresses.iter().map(ToString::to_string).collect();
        Coordinators::new(owned(configured), owned(told))
    }

    fn asked(known: &Coordinators, attempts: usize) -> Vec<&str> {
        (0..attempts).filter_map(|attempt| known.to_ask(attempt)).map(String::as_str).collect()
    }

    #[test]
    fn the_configured_ones_get_reports_until_the_cluster_has_told_its_own() {
        let begun = known(&["a:1", "b:1"], &[]);
        assert_eq!(Vec::from_iter(begun.to_report_to()), ["a:1", "b:1"]);
        let told = begun.told(vec!["b:1".to_owned(), "c:1".to_owned()]);
        assert_eq!(Vec::from_iter(told.to_report_to()), ["b:1", "c:1"]);
        assert_eq!(told.told(Vec::new()), begun);
    }

    #[test]
    fn everybody_known_is_asked_in_turn_and_those_of_the_cluster_first() {
        assert_eq!(asked(&known(&["a:1", "b:1"], &[]), 3), ["a:1", "b:1", "a:1"]);
        assert_eq!(asked(&known(&["a:1", "b:1"], &["b:1", "c:1"]), 4), ["b:1", "c:1", "a:1", "b:1"]);
        assert_eq!(asked(&known(&[], &[]), 2), <[&str; 0]>::default());
    }
}
