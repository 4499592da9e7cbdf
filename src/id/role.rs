//! The ARNs of roles.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AccountId, IdError, is_graphic};
use crate::text::escape_controls;

/// A role's ARN, `arn:<partition>:iam::<account>:role/<path><name>`. It carries the path;
/// an assumed-role ARN does not, so neither is ever rebuilt from the other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleArn {
    text: Arc<str>,
    account: AccountId,
}

impl RoleArn {
    /// The ARN as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The ARN as text that others may share.
    #[must_use]
    pub fn to_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The account the role lives in.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The role's name, without its path.
    #[must_use]
    pub fn name(&self) -> &str {
        let start = memchr::memrchr(b'/', self.text.as_bytes()).map_or(0, |slash| slash + 1);
        self.text.get(start..).unwrap_or_default()
    }

    /// The name that the role has in every account: of a permission set's role the set's.
    #[must_use]
    pub fn common_name(&self) -> &str {
        permission_set(self.name()).unwrap_or(self.name())
    }

    /// Whether an AWS service owns the role (a service-linked role).
    #[must_use]
    pub fn is_service_linked(&self) -> bool {
        let rest = self.after_partition().and_then(|it| it.get(AccountId::DIGITS..));
        rest.is_some_and(|it| it.starts_with(":role/aws-service-role/"))
    }

    /// What stands behind `arn:<partition>:iam::`.
    fn after_partition(&self) -> Option<&str> {
        const HEAD: usize = "arn:aws".len();
        let tail = memchr::memchr(b':', self.text.as_bytes().get(HEAD..)?)?;
        self.text.get(HEAD + tail + ":iam::".len()..)
    }
}

/// The permission set whose role bears this name: `AWSReservedSSO_<set>_<16 hex digits>`, where the
/// digits differ from account to account.
#[must_use]
pub fn permission_set(role_name: &str) -> Option<&str> {
    Some(role_name.strip_prefix("AWSReservedSSO_")?.rsplit_once('_')?.0)
}

impl FromStr for RoleArn {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        const EXPECTED: &str = "a role ARN like `arn:aws:iam::111122223333:role/path/Name`";
        let account = account_of(s).ok_or_else(|| IdError::new(s, EXPECTED))?;
        Ok(Self { text: s.into(), account })
    }
}

/// The account of what is a role's ARN. AWS: a role name has at most 64 characters, its path at
/// most 512.
fn account_of(s: &str) -> Option<AccountId> {
    let rest = s.as_bytes().strip_prefix(b"arn:aws")?;
    let tail = rest.iter().position(|b| *b == b':')?;
    let (partition_tail, rest) = rest.split_at_checked(tail)?;
    let (account, rest) = rest.strip_prefix(b":iam::")?.split_at_checked(AccountId::DIGITS)?;
    let path_and_name = rest.strip_prefix(b":role/")?;
    let is_sound = s.len() <= 640
        && partition_tail.iter().all(|b| b.is_ascii_lowercase() || *b == b'-')
        && is_graphic(path_and_name)
        && path_and_name.last().is_some_and(|last| *last != b'/');
    AccountId::of_digits(account).filter(|_| is_sound)
}

/// The account is part of the text.
impl Hash for RoleArn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A role by account and name, as an update tells it: in lower case, for IAM lets no two roles
/// of an account differ by case alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleKey(Arc<str>);

impl RoleKey {
    /// The key of the account's role of this name.
    #[must_use]
    pub fn new(account: AccountId, name: &str) -> Self {
        let mut text = String::with_capacity(AccountId::DIGITS + "/".len() + name.len());
        account.push_to(&mut text);
        text.push('/');
        if name.is_ascii() {
            text.push_str(name);
            text.make_ascii_lowercase();
        } else {
            text.push_str(&name.to_lowercase());
        }
        Self(text.into())
    }

    /// The key of a role by its ARN.
    #[must_use]
    pub fn of(arn: &RoleArn) -> Self {
        Self::new(arn.account(), arn.name())
    }

    /// The key as text: `111122223333/deploy`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The role's name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl fmt::Display for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_controls(&self.0))
    }
}

impl fmt::Debug for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_arn_keeps_its_path_and_knows_its_name() {
        for (arn, name) in [
            ("arn:aws:iam::111122223333:role/admin/OrgAdmin", "OrgAdmin"),
            ("arn:aws-cn:iam::111122223333:role/x", "x"),
            ("arn:aws-us-gov:iam::111122223333:role/a/b/c+=,.@-_d", "c+=,.@-_d"),
        ] {
            let role: RoleArn = arn.parse().unwrap();
            assert_eq!((role.as_str(), role.name()), (arn, name));
            assert_eq!(role.account().to_string(), "111122223333");
        }
    }

    #[test]
    fn what_is_no_role_arn_is_refused() {
        for bad in [
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::1111:role/x",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/a b",
            "arn:evil:iam::111122223333:role/a",
            "arn:aws:sts::111122223333:assumed-role/Name/session",
        ] {
            assert!(bad.parse::<RoleArn>().is_err(), "{bad}");
        }
    }
}
