//! Whom of those that a statement names the conditions on their names leave.
//!
//! A door is dropped only where it is certain that nobody comes through it: an ARN or an account
//! that cannot be the one that is asked for. Anything else stays, as narrow as it is known to be.

use super::demand::Demand;
use super::door::{Who, is_session_of};
use super::operator::Test;
use super::principal::{ArnParts, account_of};
use crate::glob::Glob;
use crate::id::AccountId;
use crate::text::Text;

impl Who {
    /// Those of these who bear one of the names of a demand: ARNs, patterns of them, or accounts.
    pub(super) fn narrowed(&self, names: &Demand) -> Vec<Self> {
        match self {
            Self::Anybody | Self::AnybodyBut(_) | Self::Account(_) | Self::Arn(_) => {}
            _ => return vec![self.clone()],
        }
        let is_unsure = |it: &str| it.contains("${");
        if names.operands.iter().any(|it| it.as_text().is_none_or(is_unsure)) {
            return vec![self.clone()];
        }
        let texts = names.operands.iter().filter_map(|it| it.as_text());
        let texts = texts.filter_map(|it| pattern_of(&names.test, it));
        texts.filter_map(|it| self.bearing(names, &it)).collect()
    }

    /// Those who bear one name, as a pattern.
    fn bearing(&self, names: &Demand, name: &str) -> Option<Self> {
        let ignores_case = matches!(names.test, Test::String { ignore_case: true, .. });
        if names.key == "aws:principalaccount" {
            // An account has twelve digits, so nothing follows them.
            return match name.trim_end_matches('*').parse::<AccountId>() {
                Ok(account) => self.of_account(account),
                Err(_) => self.like_account(name),
            };
        }
        match self {
            Self::Account(own) if ignores_case => {
                in_account(*own, &name.to_lowercase()).map(|_| self.clone())
            }
            Self::Account(own) => in_account(*own, name),
            Self::Arn(arn) => Self::of_both(arn.as_str(), name),
            // Other spellings of the name are meant too, and no pattern says so.
            _ if ignores_case => {
                let account = account_of(&name.to_lowercase());
                Some(account.map_or_else(|| self.clone(), Self::Account))
            }
            _ => Some(name.parse().map_or_else(|_| Self::Arn(Text::clip(name)), Self::Account)),
        }
    }

    /// Those of these who are of an account.
    pub(super) fn of_account(&self, account: AccountId) -> Option<Self> {
        match self {
            Self::Account(own) => (*own == account).then(|| self.clone()),
            Self::Arn(arn) => match account_of(arn.as_str()) {
                Some(own) => (own == account).then(|| self.clone()),
                None => in_account(account, arn.as_str()),
            },
            _ => Some(Self::Account(account)),
        }
    }

    /// Those of these who are of an account like this.
    fn like_account(&self, pattern: &str) -> Option<Self> {
        let fits = |own: AccountId| Glob::new(pattern).matches(&own.to_string());
        self.account().is_none_or(fits).then(|| self.clone())
    }

    /// Those of a name who also bear another one, as narrow as either says.
    fn of_both(arn: &str, name: &str) -> Option<Self> {
        let (mine, theirs) = (borne_by(arn).to_lowercase(), name.to_lowercase());
        if !Glob::new(&mine).overlaps(&Glob::new(&theirs)) {
            return None;
        }
        let is_one = !arn.contains(['*', '?']);
        if is_one || is_session_of(arn, name) || Glob::new(name).covers(&Glob::new(arn)) {
            return Some(Self::Arn(Text::clip(arn)));
        }
        let account = account_of(arn).or_else(|| account_of(name));
        let met = account.and_then(|account| {
            let (mine, theirs) = (ArnParts::of(arn)?, ArnParts::of(name)?);
            let is_wider = Glob::new(theirs.resource).covers(&Glob::new(mine.resource));
            in_account(account, if is_wider { arn } else { name })
        });
        let narrower = || {
            let is_narrower = Glob::new(arn).covers(&Glob::new(name));
            Self::Arn(Text::clip(if is_narrower { name } else { arn }))
        };
        Some(met.unwrap_or_else(narrower))
    }
}

/// Those of an account whose ARN fits a pattern.
fn in_account(account: AccountId, pattern: &str) -> Option<Who> {
    let is_pattern = pattern.contains(['*', '?']);
    let Some(parts) = ArnParts::of(pattern) else {
        return Some(Who::Account(account)).filter(|_| is_pattern);
    };
    let head = pattern.split(':').take(4).collect::<Vec<_>>().join(":");
    let is_fixed = !head.contains(['*', '?']);
    if !Glob::new(parts.account).matches(&account.to_string()) {
        // A `*` before the account may stand for it, too.
        return Some(Who::Account(account)).filter(|_| !is_fixed);
    }
    let head = if is_fixed { &head } else { "arn:aws:iam:" };
    Some(Who::Arn(Text::clip(&format!("{head}:{account}:{}", parts.resource))))
}

/// The name that the request of a principal bears: of a session that of its role, of which the
/// session does not tell the path.
fn borne_by(arn: &str) -> String {
    let of_session = || {
        let parts = ArnParts::of(arn).filter(|it| it.service == "sts")?;
        let role = parts.resource.strip_prefix("assumed-role/")?.split('/').next()?;
        Some(format!("arn:*:iam::{}:role/*{role}", parts.account))
    };
    of_session().unwrap_or_else(|| arn.to_owned())
}

/// A value of `aws:PrincipalArn` or `aws:PrincipalAccount` as a pattern. To an operator that knows
/// no wildcards a `*` is a character, which no such name has. To one for ARNs it ends at the next
/// colon, so that one before the account hides no other account, and what stands there says
/// nothing.
fn pattern_of(test: &Test, value: &str) -> Option<String> {
    let parts: Vec<&str> = value.splitn(6, ':').collect();
    match (test, parts.as_slice()) {
        (Test::String { like: false, .. }, _) if value.contains(['*', '?']) => None,
        (Test::Arn { .. }, [_, partition, service, _, account, resource])
            if [partition, service].iter().any(|it| it.contains(['*', '?'])) =>
        {
            Some(format!("arn:aws:iam::{account}:{resource}"))
        }
        _ => Some(value.to_owned()),
    }
}
