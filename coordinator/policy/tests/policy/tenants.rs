//! Tenants, their keys and regions' health through `apply`.

use crate::support::{apply, cluster, region, tenant};
use helixflow_model::{Epoch, KeyId, TenantId, UnixMillis};
use helixflow_policy::check::check;
use helixflow_policy::state::{
    ClusterState, Command, Field, Key, KeyDigest, MAX_TENANTS, Outcome, Refusal, RegionHealth,
};

fn put(state: &mut ClusterState, id: &TenantId, name: &str, expected: Option<u64>) -> Outcome {
    let command = Command::PutTenant {
        tenant: id.clone(),
        display_name: name.to_owned(),
        expected: expected.map(Epoch),
    };
    apply(state, command)
}

fn put_key(state: &mut ClusterState, id: &str, of: &str, secret: [u8; 32]) -> Outcome {
    let key = Key { tenant: tenant(of), digest: KeyDigest(secret), expires: Some(UnixMillis(1)) };
    apply(state, Command::PutKey { id: KeyId::new(id).unwrap(), key })
}

#[test]
fn a_tenants_revision_rises_with_each_put_also_over_a_removal() {
    let mut state = cluster(&[]);
    let acme = tenant("acme");
    let mut last = Epoch(0);
    for removed in [false, false, true, false] {
        if removed {
            assert_eq!(apply(&mut state, Command::RemoveTenant { tenant: acme.clone() }), Outcome::Applied);
        }
        let Outcome::Put { revision } = put(&mut state, &acme, "Acme", None) else { panic!("not put") };
        assert_eq!(state.tenants()[&acme].revision, revision);
        assert!(revision > last);
        last = revision;
    }
}

#[test]
fn a_put_on_another_revision_than_the_one_seen_is_refused() {
    let mut state = cluster(&[]);
    let acme = tenant("acme");
    let Outcome::Put { revision } = put(&mut state, &acme, "one", Some(0)) else { panic!("not put") };
    let differs = |expected| Outcome::Refused {
        reason: Refusal::RevisionDiffers {
            tenant: tenant("acme"),
            expected: Epoch(expected),
            found: revision,
        },
    };
    assert_eq!(put(&mut state, &acme, "two", Some(0)), differs(0));
    assert_eq!(put(&mut state, &acme, "two", Some(revision.0 + 1)), differs(revision.0 + 1));
    assert_eq!(state.tenants()[&acme].display_name, "one");
    assert!(matches!(put(&mut state, &acme, "two", Some(revision.0)), Outcome::Put { .. }));
}

#[test]
fn a_display_name_has_its_bound() {
    let mut state = cluster(&[]);
    let acme = tenant("acme");
    let reason = Refusal::InvalidField { field: Field::DisplayName };
    assert_eq!(put(&mut state, &acme, &"x".repeat(257), None), Outcome::Refused { reason });
    assert!(matches!(put(&mut state, &acme, &"x".repeat(256), None), Outcome::Put { .. }));
}

#[test]
fn a_key_belongs_to_a_tenant_and_goes_with_it() {
    let mut state = cluster(&[]);
    let reason = Refusal::UnknownTenant { tenant: tenant("acme") };
    assert_eq!(put_key(&mut state, "k", "acme", [1; 32]), Outcome::Refused { reason });
    put(&mut state, &tenant("acme"), "Acme", None);
    assert_eq!(put_key(&mut state, "k", "acme", [1; 32]), Outcome::Applied);
    assert_eq!(put_key(&mut state, "k", "acme", [1; 32]), Outcome::Unchanged);
    apply(&mut state, Command::RemoveTenant { tenant: tenant("acme") });
    assert!(state.keys().is_empty());
    assert_eq!(check(&state), []);
}

#[test]
fn two_keys_never_have_one_secret() {
    let mut state = cluster(&[]);
    put(&mut state, &tenant("acme"), "Acme", None);
    put_key(&mut state, "first", "acme", [1; 32]);
    let reason = Refusal::SecretTwice { key: KeyId::new("first").unwrap() };
    assert_eq!(put_key(&mut state, "second", "acme", [1; 32]), Outcome::Refused { reason });
    assert_eq!(put_key(&mut state, "first", "acme", [2; 32]), Outcome::Applied);
    assert_eq!(put_key(&mut state, "second", "acme", [1; 32]), Outcome::Applied);
}

#[test]
fn tenants_are_bounded() {
    let mut state = cluster(&[]);
    for n in 0..MAX_TENANTS {
        assert!(matches!(put(&mut state, &tenant(&format!("t{n}")), "", None), Outcome::Put { .. }));
    }
    let one_more = put(&mut state, &tenant("one-more"), "", None);
    assert!(matches!(one_more, Outcome::Refused { reason: Refusal::TooMany { .. } }), "{one_more:?}");
    assert!(matches!(put(&mut state, &tenant("t0"), "again", None), Outcome::Put { .. }));
    assert_eq!(check(&state), []);
}

#[test]
fn a_regions_health_is_set_by_whoever_saw_the_last_change() {
    let mut state = cluster(&[("eu", 10)]);
    let set = |state: &mut ClusterState, name: &str, health, expected| {
        apply(state, Command::SetRegionHealth { region: region(name), health, expected })
    };
    let reason = Refusal::UnknownRegion { region: region("us") };
    assert_eq!(set(&mut state, "us", RegionHealth::Lost, Epoch(0)), Outcome::Refused { reason });
    assert_eq!(set(&mut state, "eu", RegionHealth::Live, Epoch(0)), Outcome::Unchanged);
    assert_eq!(set(&mut state, "eu", RegionHealth::Lost, Epoch(0)), Outcome::Applied);
    let since = state.region(&region("eu")).since;
    assert_eq!(since, state.epoch());
    let reason = Refusal::RegionHealthChanged { region: region("eu"), since };
    assert_eq!(set(&mut state, "eu", RegionHealth::Live, Epoch(0)), Outcome::Refused { reason });
    assert_eq!(set(&mut state, "eu", RegionHealth::Live, since), Outcome::Applied);
    assert_eq!(check(&state), []);
}
