//! MITRE ATT&CK: the names of the techniques that rules cite.

/// Techniques and sub-techniques of the Enterprise matrix, by id. A sub-technique's own name,
/// without that of its technique, which stands here too.
const NAMES: &[(&str, &str)] = &[
    ("T1036", "Masquerading"),
    ("T1078", "Valid Accounts"),
    ("T1078.004", "Cloud Accounts"),
    ("T1087", "Account Discovery"),
    ("T1087.004", "Cloud Account"),
    ("T1098", "Account Manipulation"),
    ("T1098.001", "Additional Cloud Credentials"),
    ("T1098.003", "Additional Cloud Roles"),
    ("T1199", "Trusted Relationship"),
    ("T1484", "Domain or Tenant Policy Modification"),
    ("T1484.002", "Trust Modification"),
    ("T1528", "Steal Application Access Token"),
    ("T1548", "Abuse Elevation Control Mechanism"),
    ("T1548.005", "Temporary Elevated Cloud Access"),
    ("T1550", "Use Alternate Authentication Material"),
    ("T1550.001", "Application Access Token"),
    ("T1552", "Unsecured Credentials"),
    ("T1552.005", "Cloud Instance Metadata API"),
    ("T1580", "Cloud Infrastructure Discovery"),
];

/// The name of a technique or sub-technique, as MITRE has it.
pub(super) fn name(id: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
}

/// The technique that a sub-technique is of: `T1078` for `T1078.004`.
pub(super) fn technique_of(id: &str) -> Option<&str> {
    id.split_once('.').map(|(technique, _)| technique)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RULES;

    #[test]
    fn every_technique_of_every_rule_has_a_name() {
        for rule in RULES {
            for id in rule.mitre {
                assert!(name(id).is_some(), "{} cites {id}, which has no name", rule.id);
            }
        }
    }

    #[test]
    fn the_names_are_sorted_and_no_technique_is_missing() {
        assert!(NAMES.is_sorted_by_key(|(id, _)| *id));
        for (id, _) in NAMES {
            let technique = technique_of(id).unwrap_or(id);
            assert!(name(technique).is_some(), "{id} stands without {technique}");
        }
    }
}
