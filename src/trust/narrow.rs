//! Whether a demand keeps anybody out, or only looks as if it did.

use ipnet::IpNet;

use super::demand::{Demand, Guard, Strictness};
use super::operand::{Operand, network};
use super::operator::Test;
use crate::id::AccountId;

/// A pattern of ExternalIds with fewer characters of its own is one that anybody meets who tries.
const GUESSABLE: u32 = 4;
/// Blocks of addresses with shorter prefixes are not one party's: nobody was given more than a
/// /8, or a /16 of IPv6.
const WIDEST: (u8, u8) = (8, 16);

impl Demand {
    /// Whether it keeps anybody out who does not share something with those it means to let in:
    /// it is firm, it does not merely exclude some, and no value of it is open to all.
    #[must_use]
    pub fn narrows(&self) -> bool {
        if self.strictness == Strictness::IfPresent
            || self.test.is_negated()
            || self.operands.is_empty()
        {
            return false;
        }
        match (&self.test, self.guard) {
            (_, Guard::Mfa) => true,
            // Whoever asks can have some organisation, some ExternalId, some session name.
            (Test::Null, _) => false,
            (Test::Ip { .. }, _) => !self.takes_the_internet(),
            _ => !self.operands.iter().any(|it| self.is_open(it)),
        }
    }

    /// Whether the blocks together hold more than any one party has.
    fn takes_the_internet(&self) -> bool {
        let blocks = self.operands.iter().filter_map(|it| network(it.as_text()?));
        let blocks: Vec<IpNet> = blocks.map(|it| it.trunc()).collect();
        IpNet::aggregate(&blocks).iter().any(|block| match block {
            IpNet::V4(block) => block.prefix_len() < WIDEST.0,
            IpNet::V6(block) => {
                let is_private = block.addr().octets().first().is_some_and(|it| it & 0xfe == 0xfc);
                block.prefix_len() < WIDEST.1 && !is_private
            }
        })
    }

    /// Whether anybody can have a value that this one takes.
    fn is_open(&self, operand: &Operand) -> bool {
        let text = match operand {
            Operand::Text(text) => text.as_str(),
            Operand::SecretPattern { fixed, .. } => return *fixed < GUESSABLE,
            Operand::Secret(_) | Operand::Unreadable => return false,
        };
        let pieces = self.pieces(text);
        let head: String = pieces.iter().map_while(|it| *it).collect();
        let is_whole = pieces.iter().all(Option::is_some);
        match self.key.as_str() {
            // What is said of the role itself is true of every request, unless it is compared
            // with the caller.
            key if key.starts_with("aws:resource") => !(is_whole && text.contains("${")),
            _ if is_whole => false,
            "aws:principalorgid"
            | "aws:principalorgpaths"
            | "aws:sourceorgid"
            | "aws:sourceorgpaths"
            | "aws:vpceorgid"
            | "aws:vpceorgpaths" => !names_organisation(&head),
            "aws:sourceaccount" | "aws:principalaccount" | "aws:vpceaccount" => head.len() < 12,
            "aws:sourcearn" | "aws:principalarn" | "aws:sourcevpcarn" => !names_owner(text),
            "aws:sourcevpc" | "aws:sourcevpce" => head.len() < "vpc-12345678".len(),
            "aws:userid" => head.len() < "AROAEXAMPLEEXAMPLE".len(),
            _ => pieces.iter().all(Option::is_none),
        }
    }

    /// The characters of a value, `None` for what a wildcard or the caller's choice stands for.
    fn pieces(&self, text: &str) -> Vec<Option<char>> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some((name, after)) = rest.strip_prefix("${").and_then(|it| it.split_once('}')) {
                pieces.push(match name {
                    "*" | "?" | "$" => name.chars().next(),
                    _ => (!self.is_chosen_by_caller(name)).then_some('$'),
                });
                rest = after;
                continue;
            }
            let is_wild = matches!(c, '*' | '?') && self.takes_patterns();
            pieces.push((!is_wild).then_some(c));
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        pieces
    }

    /// Whether whoever calls decides what a variable stands for. A session that has to bear its
    /// caller's name is bound all the same.
    fn is_chosen_by_caller(&self, variable: &str) -> bool {
        let name = variable.split(',').next().unwrap_or_default().trim().to_lowercase();
        if self.key.starts_with("aws:resource") {
            // Tags of their own, as names of sessions, strangers write as they like.
            return !name.starts_with("aws:principal") || name.starts_with("aws:principaltag/");
        }
        let is_tied = matches!(self.guard, Guard::Session | Guard::Other);
        name == self.key || !(is_tied || name.starts_with("aws:resource"))
    }
}

/// Whether the head of a pattern holds the whole id of an organisation: `o-a1b2c3d4e5/*`.
fn names_organisation(head: &str) -> bool {
    let Some(id) = head.strip_prefix("o-") else { return false };
    id.split_once('/').map_or(id.len() >= 10, |(id, _)| !id.is_empty())
}

/// Whether a pattern of ARNs holds the account, or the name of a resource whose ARN has none: a
/// bucket's, which is there once in the world.
fn names_owner(pattern: &str) -> bool {
    let mut parts = pattern.splitn(6, ':').skip(4);
    let (Some(account), Some(resource)) = (parts.next(), parts.next()) else { return false };
    account.parse::<AccountId>().is_ok()
        || (account.is_empty() && !resource.starts_with(['*', '?', '$']))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::trust::{Demand, TrustPolicy};

    fn narrows(operator: &str, key: &str, value: Value) -> bool {
        let document = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow",
            "Principal": "*", "Action": "sts:*", "Condition": {operator: {key: value}}}});
        let policy = TrustPolicy::read(&document.to_string()).unwrap();
        Demand::of_allow(&policy.statements[0].conditions[0]).is_some_and(|it| it.narrows())
    }

    #[test]
    fn what_everybody_meets_narrows_nothing() {
        for (operator, key, value) in [
            ("Null", "aws:PrincipalOrgID", json!("false")),
            ("Null", "sts:ExternalId", json!(false)),
            ("StringLike", "aws:PrincipalOrgID", json!("o-*")),
            ("StringLike", "aws:PrincipalOrgID", json!("o-a1*")),
            ("StringLike", "aws:PrincipalOrgID", json!(["o-a1b2c3d4e5", "?-*"])),
            ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", json!("o-*/*")),
            ("StringEquals", "aws:PrincipalOrgID", json!("${aws:PrincipalOrgID}")),
            ("StringEquals", "aws:PrincipalTag/team", json!("${aws:PrincipalTag/Team}")),
            ("StringEquals", "aws:PrincipalTag/a", json!("${aws:PrincipalTag/b, 'x'}")),
            ("StringEquals", "sts:ExternalId", json!("${sts:ExternalId}")),
            ("StringEquals", "sts:RoleSessionName", json!("${sts:RoleSessionName}")),
            ("StringEquals", "aws:ResourceOrgID", json!("o-a1b2c3d4e5")),
            ("StringEquals", "aws:ResourceAccount", json!("${sts:RoleSessionName}")),
            ("StringEquals", "aws:ResourceOrgID", json!("${aws:PrincipalTag/org}")),
            ("StringLike", "sts:ExternalId", json!("?*")),
            ("StringLike", "sts:ExternalId", json!("S*")),
            ("IpAddress", "aws:SourceIp", json!("0.0.0.0/0")),
            ("IpAddress", "aws:SourceIp", json!(["0.0.0.0/1", "128.0.0.0/1"])),
            ("IpAddress", "aws:SourceIp", json!(["198.51.100.0/24", "::/0"])),
            ("IpAddress", "aws:SourceIp", json!("2000::/3")),
            ("StringLike", "aws:SourceAccount", json!("1*")),
            ("ArnLike", "aws:SourceArn", json!("arn:aws:config:*:*:*")),
            ("StringLike", "aws:SourceArn", json!("arn:aws:s3:::*")),
            ("ArnLike", "aws:PrincipalArn", json!("arn:aws:iam::*:role/ci")),
            ("StringLike", "aws:SourceVpce", json!("vpce-*")),
            ("StringLike", "aws:userid", json!("*:alice")),
            ("StringEqualsIfExists", "aws:PrincipalOrgID", json!("o-a1b2c3d4e5")),
            ("StringNotEquals", "aws:PrincipalOrgID", json!("o-a1b2c3d4e5")),
        ] {
            assert!(!narrows(operator, key, value.clone()), "{operator} {key} {value}");
        }
    }

    #[test]
    fn what_names_somebody_narrows() {
        for (operator, key, value) in [
            ("StringEquals", "aws:PrincipalOrgID", json!("o-a1b2c3d4e5")),
            ("StringEquals", "aws:PrincipalOrgID", json!("o-*")),
            ("StringLike", "aws:PrincipalOrgID", json!("o-a1b2c3d4e5*")),
            ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", json!("o-a1b2c3d4e5/*")),
            ("StringEquals", "aws:ResourceOrgID", json!("${aws:PrincipalOrgID}")),
            ("StringEquals", "aws:PrincipalTag/team", json!("${aws:ResourceTag/team}")),
            ("StringEquals", "aws:PrincipalTag/team", json!("${*}")),
            ("StringLike", "sts:RoleSessionName", json!("${aws:username}")),
            ("StringLike", "sts:ExternalId", json!("acme-*")),
            ("IpAddress", "aws:SourceIp", json!(["10.0.0.0/8", "fd00::/8", "2001:db8::/32"])),
            ("StringEquals", "aws:SourceAccount", json!("111122223333")),
            ("ArnLike", "aws:SourceArn", json!("arn:aws:sns:*:111122223333:*")),
            ("ArnLike", "aws:SourceArn", json!("arn:aws:s3:::bucket*")),
            ("StringLike", "aws:SourceVpce", json!("vpce-0123456789abcdef0*")),
            ("StringLike", "aws:userid", json!("AROAEXAMPLEEXAMPLE123:*")),
            ("NumericGreaterThan", "aws:EpochTime", json!(7)),
            ("NumericLessThan", "aws:MultiFactorAuthAge", json!(3600)),
        ] {
            assert!(narrows(operator, key, value.clone()), "{operator} {key} {value}");
        }
    }
}
