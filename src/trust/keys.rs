//! Which words under a `Condition` may be kept as they are. ExternalIds are secrets wherever they
//! stand, and who writes a policy by hand puts them into the wrong place, too: so what is kept
//! is what is known to be something else, and the rest is hashed.

use super::operator::{Operator, Test};
use crate::glob::Glob;
use crate::id::{AccountId, ExternalId};
use crate::text::Text;

/// Keys that AWS documents, in lower case, and whose values are no secrets.
const KNOWN: &[&str] = &[
    "aws:calledvia",
    "aws:calledviafirst",
    "aws:calledvialast",
    "aws:chatbotsourcearn",
    "aws:currenttime",
    "aws:ec2instancesourceprivateipv4",
    "aws:ec2instancesourcevpc",
    "aws:epochtime",
    "aws:federatedprovider",
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    "aws:principaltype",
    "aws:referer",
    "aws:requestedregion",
    "aws:resourceaccount",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "aws:securetransport",
    "aws:signinsessionarn",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceidentity",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:tagkeys",
    "aws:tokenissuetime",
    "aws:useragent",
    "aws:userid",
    "aws:username",
    "aws:viaawsservice",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "aws:vpceorgpaths",
    "aws:vpcsourceip",
    "ec2:sourceinstancearn",
    "iam:resourcetag",
    "lambda:sourcefunctionarn",
    "s3:resourceaccount",
    "sts:awsservicename",
    "sts:durationseconds",
    "sts:identitytokenaudience",
    "sts:requestcontextproviders",
    "sts:rolesessionname",
    "sts:signingalgorithm",
    "sts:sourceidentity",
    "sts:taskpolicyarn",
    "sts:transitivetagkeys",
];

/// The beginnings of keys that go on with a name of the customer's own.
const TAGS: &[&str] = &[
    "aws:principaltag/",
    "aws:requesttag/",
    "aws:resourcetag/",
    "iam:resourcetag/",
    "sts:requestcontext/",
];

/// Kinds of principals that AWS documents, in lower case.
const KINDS: &[&str] = &["aws", "service", "federated", "canonicaluser"];

/// Actions of the token service, in lower case and without their prefix.
const ACTIONS: &[&str] = &[
    "assumerole",
    "assumerolewithsaml",
    "assumerolewithwebidentity",
    "assumeroot",
    "decodeauthorizationmessage",
    "getaccesskeyinfo",
    "getcalleridentity",
    "getdelegatedaccesstoken",
    "getfederationtoken",
    "getservicebearertoken",
    "getsessiontoken",
    "getwebidentitytoken",
    "setcontext",
    "setsourceidentity",
    "taggetfederationtoken",
    "tagsession",
];

/// The words that operators begin with.
const OPERATORS: &[&str] =
    &["Arn", "Binary", "Bool", "Date", "IpAddress", "NotIpAddress", "Null", "Numeric", "String"];

/// Whether the values of a key, which is in lower case, are known to be no secrets.
pub(super) fn is_public(key: &str) -> bool {
    let is_tag = TAGS.iter().any(|it| key.strip_prefix(it).is_some_and(|name| !name.is_empty()));
    !smells(key) && (KNOWN.contains(&key) || is_tag || is_claim(key))
}

/// A claim of an identity provider: `token.actions.githubusercontent.com:sub`, `saml:aud`.
fn is_claim(key: &str) -> bool {
    let Some((provider, claim)) = key.rsplit_once(':') else { return false };
    let is_name = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    let labels = provider.split('/').next().unwrap_or_default().split(':').next();
    let is_host = labels.is_some_and(|host| host.contains('.') && !host.contains(".."));
    is_name(claim, "_-.") && (provider == "saml" || (is_host && is_name(provider, ".-_/:")))
}

/// Whether a word is about ExternalIds, however it is spelled.
pub(super) fn smells(word: &str) -> bool {
    let letters: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.to_ascii_lowercase().contains("externalid")
}

/// An operator that is not known, with its name if that looks like one.
pub(super) fn operator(name: &str) -> Operator {
    let operator = Operator::read(name);
    let Test::Unknown(_) = operator.test else { return operator };
    let stem = ["ForAllValues:", "ForAnyValue:"].iter().find_map(|it| name.strip_prefix(it));
    let stem = stem.unwrap_or(name);
    let begins = OPERATORS.iter().any(|it| stem.starts_with(it));
    let is_word = stem.len() <= 32 && stem.chars().all(|c| c.is_ascii_alphabetic());
    if (begins && is_word) || shown(name) == name {
        return operator;
    }
    Operator { test: Test::Unknown(Text::clip(&masked(name))), ..operator }
}

/// A word as it may be kept: the key of ExternalIds, whatever was added to it by mistake, and
/// what is masked already.
pub(super) fn shown(word: &str) -> String {
    let letters: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
    let is_key = letters.eq_ignore_ascii_case("stsexternalid") && word.len() <= 32;
    if is_key { word.to_owned() } else { masked(word) }
}

/// A key, which is in lower case, as it may be kept: one that is known, or an operator that
/// stands in its place.
pub(super) fn key(key: &str) -> String {
    let is_operator = || !matches!(Operator::read(key).test, Test::Unknown(_));
    if is_public(key) || is_operator() { key.to_owned() } else { shown(key) }
}

/// A kind of principal as it may be kept.
pub(super) fn kind(kind: &str) -> String {
    let is_known = KINDS.iter().any(|it| kind.eq_ignore_ascii_case(it));
    if is_known { kind.to_owned() } else { shown(kind) }
}

/// A principal of a form that is not known, of a kind as [`kind`] keeps it: an ARN is shown, and
/// the digits of a canonical user.
pub(super) fn principal(kind: &str, value: &str) -> String {
    let is_arn = || value.starts_with("arn:") && !smells(value);
    let is_digits = || value.len() == 64 && value.chars().all(|c| c.is_ascii_hexdigit());
    let is_kept = match kind.to_ascii_lowercase().as_str() {
        "aws" => is_arn() || value.parse::<AccountId>().is_ok(),
        "canonicaluser" => is_digits(),
        _ => false,
    };
    if is_kept { value.to_owned() } else { shown(value) }
}

/// An action as it may be kept: whatever an action of the token service fits.
pub(super) fn action(action: &str) -> String {
    let glob = Glob::new(&action.to_lowercase());
    let is_known = ACTIONS.iter().any(|it| glob.matches(&format!("sts:{it}")));
    if is_known { action.to_owned() } else { shown(action) }
}

/// A `Sid` as it may be kept.
pub(super) fn sid(sid: &str) -> String {
    if smells(sid) { masked(sid) } else { sid.to_owned() }
}

/// A name that tells two words apart and shows nothing of them. It holds no colon, or it would
/// be read as a claim.
fn masked(word: &str) -> String {
    let digits: String = ExternalId::hash(word).to_hex().chars().take(8).collect();
    format!("a name that is not known, {digits}")
}
