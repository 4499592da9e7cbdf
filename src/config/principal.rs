//! Patterns for principals, and comparing one with what a record tells of a caller.

use crate::event::{Principal, PrincipalKind};
use crate::glob::{Glob, Shape};
use crate::id::{AccountId, RoleArn, is_service_name};
use crate::text::{Text, inline};

/// One way to name principals in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalPattern {
    source: Box<str>,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Anybody,
    Account(AccountId),
    Arn(Glob),
    Service(Glob),
    Saml(Glob),
    Oidc(Glob),
}

/// What comparing a caller with a pattern told. A copy of a call that does not hold what the
/// pattern asks for proves nothing either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The caller is one that the pattern names.
    Matches,
    /// The caller is known not to be one.
    Differs,
    /// This record does not tell.
    NotComparable,
}

impl Comparison {
    /// A caller against a whole list: one match is enough, and it is known to differ only where
    /// it differs from every pattern.
    #[must_use]
    pub fn with_any(patterns: &[PrincipalPattern], principal: &Principal) -> Self {
        let mut all = Self::Differs;
        for pattern in patterns {
            match pattern.matches(principal) {
                Self::Matches => return Self::Matches,
                Self::NotComparable => all = Self::NotComparable,
                Self::Differs => {}
            }
        }
        all
    }

    fn of(fits: bool) -> Self {
        if fits { Self::Matches } else { Self::Differs }
    }
}

const FORMS: &str = "write an ARN like `arn:aws:iam::111122223333:user/*`, \
    `account:111122223333`, `service:ec2.amazonaws.com`, `saml:*@corp.example`, \
    `oidc:repo:acme/app:*` or `*`";

impl PrincipalPattern {
    /// Reads a pattern, or says what is wrong with it and what to write.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let form = match source.split_once(':') {
            _ if source == "*" => Form::Anybody,
            Some(("account", account)) => match account.parse() {
                Ok(account) => Form::Account(account),
                Err(error) => return Err(format!("{error}: write `account:111122223333`")),
            },
            Some(("arn", _)) => Form::Arn(arn_glob(source)?),
            Some(("service", name)) => Form::Service(service_glob(name)?),
            Some(("saml", name)) => Form::Saml(named(source, name)?),
            Some(("oidc", subject)) => Form::Oidc(named(source, subject)?),
            _ => return Err(no_form(source)),
        };
        Ok(Self { source: source.into(), form })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the pattern names root users alone, which in a trust policy would mean their
    /// whole accounts.
    pub(crate) fn is_root_user(&self) -> bool {
        matches!(self.form, Form::Arn(_)) && self.source.ends_with(":root")
    }

    /// Whether the pattern names everybody.
    pub(super) fn is_anybody(&self) -> bool {
        self.form == Form::Anybody
    }

    /// Compares a caller with the pattern, as far as the record tells who it is.
    #[must_use]
    pub fn matches(&self, principal: &Principal) -> Comparison {
        match &self.form {
            Form::Anybody => Comparison::Matches,
            Form::Account(account) => compare_account(*account, principal),
            Form::Arn(glob) => compare_arn(glob, principal),
            Form::Service(glob) => compare_name(glob, PrincipalKind::Service, principal),
            Form::Saml(glob) => compare_name(glob, PrincipalKind::Saml, principal),
            Form::Oidc(glob) => compare_name(glob, PrincipalKind::WebIdentity, principal),
        }
    }
}

fn no_form(source: &str) -> String {
    let shown = inline(source);
    if source.parse::<AccountId>().is_ok() {
        format!("`{shown}` names no principal: did you mean `account:{shown}`?")
    } else if is_service_name(source) {
        format!("`{shown}` names no principal: did you mean `service:{shown}`?")
    } else {
        format!("`{shown}` names no principal: {FORMS}")
    }
}

fn named(source: &str, name: &str) -> Result<Glob, String> {
    if name.is_empty() { Err(no_form(source)) } else { Ok(Glob::new(name)) }
}

fn service_glob(name: &str) -> Result<Glob, String> {
    // A service may hide behind this name, and it has no host.
    if is_service_name(name) || name.contains(['*', '?']) || name == "AWS Internal" {
        return Ok(Glob::new(name));
    }
    let shown = inline(name);
    Err(format!("`{shown}` is not the name of a service: write `service:ec2.amazonaws.com`"))
}

fn arn_glob(source: &str) -> Result<Glob, String> {
    let glob = Glob::new(source);
    if every_shape(None).iter().any(|shape| glob.can_match(shape)) {
        return Ok(glob);
    }
    let shown = inline(source);
    Err(format!(
        "no principal has an ARN like `{shown}`: write \
         `arn:aws:iam::111122223333:user/path/name`, `arn:aws:iam::111122223333:role/path/Name` \
         or `arn:aws:sts::111122223333:assumed-role/Name/session` (without path), with `*` and `?`"
    ))
}

/// The shapes of ARN that a caller of an account may have.
fn every_shape(account: Option<AccountId>) -> [Shape; 5] {
    [
        Shape::user(account, None),
        Shape::role(account, None),
        Shape::role_session(account, None, None),
        Shape::federated_user(account, None),
        Shape::root(account),
    ]
}

fn compare_account(wanted: AccountId, principal: &Principal) -> Comparison {
    let issuer = || principal.issuer.as_ref().map(RoleArn::account);
    match principal.account.or_else(issuer) {
        Some(account) => Comparison::of(account == wanted),
        None if has_no_account(principal.kind) => Comparison::Differs,
        None => Comparison::NotComparable,
    }
}

/// Services and people of an identity provider belong to no account.
fn has_no_account(kind: PrincipalKind) -> bool {
    use PrincipalKind::{Saml, Service, WebIdentity};
    matches!(kind, Service | Saml | WebIdentity)
}

fn compare_name(glob: &Glob, wanted: PrincipalKind, principal: &Principal) -> Comparison {
    let anonymous = principal.kind == PrincipalKind::AwsAccount && principal.account.is_none();
    match &principal.name {
        _ if principal.kind == PrincipalKind::Unknown || anonymous => Comparison::NotComparable,
        _ if principal.kind != wanted => Comparison::Differs,
        Some(name) => Comparison::of(glob.matches(name.as_str())),
        None => Comparison::NotComparable,
    }
}

/// A session of a role has two ARNs, its own without the role's path and its role's with it, and
/// neither is made from the other: a pattern may name either, and where one of them is unknown
/// the question is whether the pattern could have named it.
fn compare_arn(glob: &Glob, principal: &Principal) -> Comparison {
    let own = principal.arn.as_ref().map(Text::as_str);
    let role = principal.issuer.as_ref().map(RoleArn::as_str);
    if [own, role].into_iter().flatten().any(|known| glob.matches(known)) {
        return Comparison::Matches;
    }
    if unknown_shapes(principal).iter().any(|shape| glob.can_match(shape)) {
        return Comparison::NotComparable;
    }
    Comparison::Differs
}

/// The shapes of the ARNs that a caller has and the record does not tell.
fn unknown_shapes(principal: &Principal) -> Vec<Shape> {
    let Principal { kind, account, arn, issuer, .. } = principal;
    let account = account.or_else(|| issuer.as_ref().map(RoleArn::account));
    let name = principal.name.as_ref().map(Text::as_str);
    let session = principal.session_name.as_ref().map(Text::as_str);
    let mut unknown = Vec::new();
    match (kind, arn) {
        (PrincipalKind::Role, _) => {
            if issuer.is_none() {
                unknown.push(Shape::role(account, name));
            }
            if arn.is_none() {
                unknown.push(Shape::role_session(account, name, session));
            }
        }
        (PrincipalKind::IamUser, None) => unknown.push(Shape::user(account, name)),
        (PrincipalKind::Root, None) => unknown.push(Shape::root(account)),
        (PrincipalKind::FederatedUser, None) => unknown.push(Shape::federated_user(account, name)),
        (PrincipalKind::AwsAccount | PrincipalKind::Unknown, None) => {
            unknown.extend(every_shape(account));
        }
        // The label of a session, learned elsewhere: its role's path is still unknown.
        (PrincipalKind::AwsAccount, Some(arn)) if arn.as_str().contains(":assumed-role/") => {
            unknown.push(Shape::role(account, None));
        }
        _ => {}
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::Comparison::{Differs, Matches, NotComparable};
    use super::*;

    fn pattern(source: &str) -> PrincipalPattern {
        PrincipalPattern::parse(source).unwrap()
    }

    fn assert_compares(principal: &Principal, cases: &[(&str, Comparison)]) {
        for (source, outcome) in cases {
            assert_eq!(pattern(source).matches(principal), *outcome, "{source}");
        }
    }

    fn named(kind: PrincipalKind, name: &str) -> Principal {
        Principal { name: Some(Text::clip(name)), ..Principal::of_kind(kind) }
    }

    fn of_account(kind: PrincipalKind, account: &str) -> Principal {
        Principal { account: Some(account.parse().unwrap()), ..Principal::of_kind(kind) }
    }

    fn deployer() -> Principal {
        Principal {
            arn: Some(Text::clip("arn:aws:sts::111122223333:assumed-role/Deployer/build-7")),
            issuer: Some("arn:aws:iam::111122223333:role/ci/Deployer".parse().unwrap()),
            name: Some(Text::clip("Deployer")),
            session_name: Some(Text::clip("build-7")),
            ..of_account(PrincipalKind::Role, "111122223333")
        }
    }

    #[test]
    fn a_user_is_compared_by_arn() {
        let alice = Principal {
            arn: Some(Text::clip("arn:aws:iam::111122223333:user/team/alice")),
            name: Some(Text::clip("alice")),
            ..of_account(PrincipalKind::IamUser, "111122223333")
        };
        assert_compares(
            &alice,
            &[
                ("*", Matches),
                ("arn:aws:iam::111122223333:user/*", Matches),
                ("arn:aws:iam::*:user/team/?lice", Matches),
                ("arn:aws:iam::111122223333:user/alice", Differs),
                ("arn:aws:iam::111122223333:user/team/Alice", Differs),
                ("arn:aws:iam::111122223333:role/*", Differs),
                ("account:111122223333", Matches),
                ("account:444455556666", Differs),
                ("service:*", Differs),
                ("saml:*", Differs),
                ("oidc:*", Differs),
            ],
        );
    }

    #[test]
    fn a_session_is_compared_by_its_own_arn_and_by_its_roles() {
        assert_compares(
            &deployer(),
            &[
                ("arn:aws:iam::111122223333:role/ci/Deployer", Matches),
                ("arn:aws:iam::*:role/ci/*", Matches),
                ("arn:aws:sts::111122223333:assumed-role/Deployer/build-*", Matches),
                ("arn:aws:iam::111122223333:role/Deployer", Differs),
                ("arn:aws:sts::111122223333:assumed-role/Deployer/alice", Differs),
                ("account:111122223333", Matches),
            ],
        );
    }

    #[test]
    fn one_arn_of_a_session_is_never_made_from_the_other() {
        let no_issuer = Principal { issuer: None, ..deployer() };
        assert_compares(
            &no_issuer,
            &[
                ("arn:aws:iam::111122223333:role/ci/Deployer", NotComparable),
                ("arn:aws:iam::111122223333:role/Deployer", NotComparable),
                ("arn:aws:iam::111122223333:role/*", NotComparable),
                ("arn:aws:iam::111122223333:role/ci/Other", Differs),
                ("arn:aws:iam::444455556666:role/ci/Deployer", Differs),
                ("arn:aws:iam::111122223333:user/Deployer", Differs),
                ("arn:aws:sts::111122223333:assumed-role/Deployer/build-7", Matches),
            ],
        );
        let no_arn = Principal { arn: None, ..deployer() };
        assert_compares(
            &no_arn,
            &[
                ("arn:aws:iam::111122223333:role/ci/Deployer", Matches),
                ("arn:aws:sts::111122223333:assumed-role/Deployer/*", NotComparable),
                ("arn:aws:sts::111122223333:assumed-role/Deployer/alice", Differs),
                ("arn:aws:sts::111122223333:assumed-role/Other/*", Differs),
            ],
        );
    }

    #[test]
    fn of_a_lone_copy_the_account_decides() {
        let copy = Principal {
            id: Some("AIDAEXAMPLEALICE".parse().unwrap()),
            ..of_account(PrincipalKind::AwsAccount, "111122223333")
        };
        assert_compares(
            &copy,
            &[
                ("*", Matches),
                ("account:111122223333", Matches),
                ("account:444455556666", Differs),
                ("arn:aws:iam::111122223333:user/*", NotComparable),
                ("arn:aws:iam::*:role/ci/*", NotComparable),
                ("arn:aws:iam::444455556666:user/*", Differs),
                ("arn:aws:iam::4444????6666:role/*", Differs),
                ("service:ec2.amazonaws.com", Differs),
                ("saml:*", Differs),
                ("oidc:*", Differs),
            ],
        );
    }

    #[test]
    fn a_label_learned_elsewhere_does_not_tell_a_roles_path() {
        let copy = Principal {
            arn: Some(Text::clip("arn:aws:sts::111122223333:assumed-role/Deployer/build-7")),
            ..of_account(PrincipalKind::AwsAccount, "111122223333")
        };
        assert_compares(
            &copy,
            &[
                ("arn:aws:sts::111122223333:assumed-role/Deployer/*", Matches),
                ("arn:aws:iam::111122223333:role/ci/*", NotComparable),
                ("arn:aws:iam::111122223333:user/*", Differs),
                ("arn:aws:iam::444455556666:role/ci/*", Differs),
            ],
        );
    }

    #[test]
    fn services_and_people_of_a_provider_are_compared_by_name() {
        assert_compares(
            &named(PrincipalKind::Service, "ec2.amazonaws.com"),
            &[
                ("service:ec2.amazonaws.com", Matches),
                ("service:*.amazonaws.com", Matches),
                ("service:lambda.amazonaws.com", Differs),
                ("account:111122223333", Differs),
                ("arn:aws:iam::*:role/*", Differs),
                ("saml:*", Differs),
            ],
        );
        assert_compares(
            &named(PrincipalKind::Saml, "alice@corp.example"),
            &[
                ("saml:*@corp.example", Matches),
                ("saml:*@evil.example", Differs),
                ("account:111122223333", Differs),
            ],
        );
        assert_compares(
            &named(PrincipalKind::WebIdentity, "repo:acme/app:ref:refs/heads/main"),
            &[
                ("oidc:repo:acme/app:ref:refs/heads/main", Matches),
                ("oidc:repo:acme/app:*", Matches),
                ("oidc:repo:acme/app", Differs),
                ("oidc:repo:acme/app:ref:refs/heads/evil", Differs),
            ],
        );
    }

    #[test]
    fn who_is_not_named_cannot_be_compared() {
        for kind in [PrincipalKind::Unknown, PrincipalKind::AwsAccount] {
            assert_compares(
                &Principal::of_kind(kind),
                &[
                    ("*", Matches),
                    ("account:111122223333", NotComparable),
                    ("arn:aws:iam::111122223333:user/alice", NotComparable),
                    ("service:ec2.amazonaws.com", NotComparable),
                    ("saml:*", NotComparable),
                    ("oidc:*", NotComparable),
                ],
            );
        }
        let nameless = Principal::of_kind(PrincipalKind::Saml);
        assert_compares(&nameless, &[("saml:*", NotComparable), ("oidc:*", Differs)]);
    }

    #[test]
    fn of_a_list_one_match_is_enough_and_all_must_differ() {
        let copy = of_account(PrincipalKind::AwsAccount, "111122223333");
        for (sources, outcome) in [
            (&["account:444455556666", "account:111122223333"][..], Matches),
            (&["account:444455556666", "arn:aws:iam::*:user/x"], NotComparable),
            (&["account:444455556666", "service:*"], Differs),
        ] {
            let patterns: Vec<_> = sources.iter().map(|it| pattern(it)).collect();
            assert_eq!(Comparison::with_any(&patterns, &copy), outcome, "{sources:?}");
        }
    }

    #[test]
    fn a_pattern_is_kept_as_it_was_written() {
        for source in ["*", "account:111122223333", "saml:*@corp.example", "arn:aws:iam::*:root"] {
            assert_eq!(pattern(source).as_str(), source);
        }
    }
}
