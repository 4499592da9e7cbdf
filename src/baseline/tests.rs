//! Joining: facts of two copies of one history, in any order, any number of times.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::severity::Severity;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + hours * 3_600).unwrap()
}

fn id(n: u8) -> UniqueId {
    format!("AROAEXAMPLE{n}").parse().unwrap()
}

/// A few calls and alerts, few enough that nothing has to be evicted.
fn role() -> impl Strategy<Value = RoleBaseline> {
    let calls = proptest::collection::vec((0_usize..12, 0_u8..6, 0_i64..2_000), 0..12);
    let alerts = proptest::collection::vec((0_u8..4, 0_i64..2_000), 0..4);
    (calls, alerts).prop_map(|(calls, alerts)| {
        let mut role = RoleBaseline::default();
        for (dimension, value, hours) in calls {
            let values = [(Dimension::ALL[dimension], format!("value {value}").into())];
            role.learn(Some(&id(1)), CallerClass::Person, &values, at(hours));
        }
        for (kind, hours) in alerts {
            let key = FoldKey::of([kind.to_string().as_str()]);
            let repeat = role.folds.judge(&key, Severity::Medium, at(hours), true);
            role.folds.record(&key, Severity::Medium, at(hours), None, &repeat);
        }
        role
    })
}

fn joined(a: &RoleBaseline, b: &RoleBaseline) -> RoleBaseline {
    let mut both = a.clone();
    both.join(b);
    both
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn joining_roles_is_a_join(a in role(), b in role(), c in role()) {
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(&joined(&a, &a), &a);
        let both = joined(&a, &b);
        prop_assert_eq!(&joined(&both, &b), &both);
    }

    #[test]
    fn a_baseline_is_written_and_read_back(role in role()) {
        let json = serde_json::to_string(&role).unwrap();
        prop_assert_eq!(serde_json::from_str::<RoleBaseline>(&json).unwrap(), role);
    }
}

#[test]
fn joining_callers_keeps_the_latest_name_and_all_refusals() {
    let caller = |name: &str, hours: i64, refused: &str| {
        let mut caller = Caller::default();
        caller.name(Label { time: at(hours), arn: None, name: Some(Text::clip(name)) });
        caller.denials.record(&refused.parse().unwrap(), at(hours), 1);
        caller.learn(&[(Dimension::Role, refused.into())], at(hours));
        caller
    };
    let (old, new) = (
        caller("before", 1, "arn:aws:iam::111122223333:role/a"),
        caller("after", 2, "arn:aws:iam::111122223333:role/b"),
    );
    let (mut one, mut other) = (old.clone(), new.clone());
    one.join(&new);
    other.join(&old);
    assert_eq!(one, other);
    assert_eq!(one.label().unwrap().name, Some(Text::clip("after")));
    assert_eq!((one.denials.len(), one.habits().turnover(Dimension::Role).values), (2, 2));
}

#[test]
fn a_role_created_again_starts_anew() {
    let mut role = RoleBaseline::default();
    let values = [(Dimension::Principal, "alice".into())];
    role.learn(Some(&id(1)), CallerClass::Person, &values, at(0));
    assert!(role.is_of_another(Some(&id(2))) && !role.is_of_another(None));
    let other = [(Dimension::Principal, "bob".into())];
    role.learn(Some(&id(2)), CallerClass::Person, &other, at(1));
    assert!(!role.has_seen(Dimension::Principal, "alice"));
    assert!(role.has_seen(Dimension::Principal, "bob"));
}

#[test]
fn services_do_not_wake_a_dormant_role() {
    let mut role = RoleBaseline::default();
    role.learn(None, CallerClass::Service, &[], at(0));
    assert_eq!(role.last_taken(), None);
    role.learn(None, CallerClass::Person, &[], at(1));
    role.learn(None, CallerClass::Service, &[], at(2));
    assert_eq!(role.last_taken(), Some(at(1)));
}
