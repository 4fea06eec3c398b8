//! Every replica has the same state and the same outcomes, whatever it is fed and however it came by it.

use crate::support::{any_command, bootstrap, fitted};
use helixflow_model::{Sequence, SessionId, UnixMillis};
use helixflow_policy::check::check;
use helixflow_policy::state::{ClusterState, Command, Proposal, SESSION_LIFE, WriteId};
use proptest::prelude::*;

/// Random logs, in `make test` and with `HELIXFLOW_FULL_COUNTS`.
const LOGS: (u32, u32) = (64, 20_000);

/// Between the indexes of two entries: room for repetitions.
const STRIDE: u64 = 10;

fn cases() -> ProptestConfig {
    let full = std::env::var_os("HELIXFLOW_FULL_COUNTS").is_some_and(|value| value == "1");
    ProptestConfig::with_cases(if full { LOGS.1 } else { LOGS.0 })
}

/// Sessions and sequences from a few, so that numbers meet (the first entries open sessions); stamps that jump by up to a session's life, also back.
fn any_proposal() -> impl Strategy<Value = Proposal> {
    let write = (0..4_u64, 0..4_u64).prop_map(|(session, sequence)| WriteId {
        session: SessionId(session * STRIDE),
        sequence: Sequence(sequence),
    });
    let stamp = 0..2 * SESSION_LIFE.as_millis() as u64;
    (stamp, prop::option::of(write), any_command()).prop_map(|(stamp, write, command)| Proposal {
        stamp: UnixMillis(stamp),
        write,
        command,
    })
}

fn any_log() -> impl Strategy<Value = Vec<Proposal>> {
    prop::collection::vec(any_proposal(), 0..60).prop_map(|log| {
        let first = [bootstrap(), Command::OpenSession, Command::OpenSession];
        first.into_iter().map(Proposal::from).chain(log).collect()
    })
}

fn through_bytes<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(value, config).unwrap();
    bincode::serde::decode_from_slice(&bytes, config).unwrap().0
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_snapshot_anywhere_and_a_log_through_bytes_change_nothing(log in any_log(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(log.len());
        let (mut one, mut other) = (ClusterState::default(), ClusterState::default());
        for (at, mut proposal) in log.into_iter().enumerate() {
            let index = (at as u64 + 1) * STRIDE;
            proposal.command = fitted(&one, proposal.command);
            let carried: Proposal = through_bytes(&proposal);
            let outcome = one.apply(index, proposal);
            if at == cut {
                other = through_bytes(&other);
            }
            prop_assert_eq!(other.apply(index, carried), outcome);
            prop_assert_eq!(check(&one), []);
        }
        prop_assert_eq!(through_bytes(&one), other);
    }

    #[test]
    fn a_numbered_write_is_applied_once_however_often_it_is_proposed(
        log in any_log(), again in prop::collection::vec(0..4_usize, 60)
    ) {
        let (mut once, mut often) = (ClusterState::default(), ClusterState::default());
        let mut index = 0;
        for (proposal, repeats) in log.into_iter().zip(again) {
            index += STRIDE;
            let outcome = once.apply(index, proposal.clone());
            prop_assert_eq!(&often.apply(index, proposal.clone()), &outcome);
            let (tenants, models) = (often.tenants().clone(), often.models().clone());
            if proposal.write.is_none() {
                continue;
            }
            for repeat in 1..=repeats as u64 {
                let again = often.apply(index + repeat, proposal.clone());
                prop_assert_eq!(&again, &outcome);
            }
            prop_assert_eq!((often.tenants(), often.models()), (&tenants, &models));
        }
    }
}
