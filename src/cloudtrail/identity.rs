//! `userIdentity`: who called, and what the record proves about MFA.

use super::field;
use crate::event::{Credential, Mfa, Principal, PrincipalKind};
use crate::id::{AccessKeyId, UniqueId, is_service_name};
use crate::json::Json;
use crate::text::Text;

/// Reads the caller. A record that names nobody has a principal of unknown kind.
pub(super) fn principal(record: Json<'_>) -> Principal {
    let identity = field::at(record, ["userIdentity"]);
    let kind = kind(identity);
    let principal_id = field::str(identity, "principalId").unwrap_or_default();
    let (id, session) = field::cut(&principal_id);
    let issuer = field::at(identity, ["sessionContext", "sessionIssuer"]);
    let from_role = matches!(kind, PrincipalKind::Role | PrincipalKind::AwsAccount);
    Principal {
        kind,
        account: field::parsed(identity, "accountId"),
        id: id.parse::<UniqueId>().ok().filter(|_| names_an_iam_identity(kind)),
        arn: field::text(identity, "arn"),
        name: name(kind, identity, issuer),
        session_name: session.filter(|_| from_role).map(Text::clip),
        issuer: field::parsed(issuer, "arn").filter(|_| kind == PrincipalKind::Role),
        provider: field::text(identity, "identityProvider"),
        credential: credential(identity),
        invoked_by: field::text(identity, "invokedBy"),
        ..Principal::of_kind(kind)
    }
}

fn kind(identity: Json<'_>) -> PrincipalKind {
    match field::str(identity, "type").as_deref() {
        Some("IAMUser") => PrincipalKind::IamUser,
        Some("AssumedRole" | "Role") => PrincipalKind::Role,
        Some("AWSService") => PrincipalKind::Service,
        Some("AWSAccount") => PrincipalKind::AwsAccount,
        Some("SAMLUser") => PrincipalKind::Saml,
        Some("WebIdentityUser") => PrincipalKind::WebIdentity,
        Some("Root") => PrincipalKind::Root,
        Some("FederatedUser") => PrincipalKind::FederatedUser,
        Some("IdentityCenterUser") => PrincipalKind::IdentityCenter,
        None if field::str(identity, "invokedBy").is_some_and(|it| is_service_name(&it)) => {
            PrincipalKind::Service
        }
        _ => PrincipalKind::Unknown,
    }
}

/// Of these kinds the `principalId` begins with a unique id; of the others it is a name that
/// may look like one.
fn names_an_iam_identity(kind: PrincipalKind) -> bool {
    matches!(kind, PrincipalKind::IamUser | PrincipalKind::Role | PrincipalKind::AwsAccount)
}

fn name(kind: PrincipalKind, identity: Json<'_>, issuer: Json<'_>) -> Option<Text> {
    let user_name = || field::text(identity, "userName");
    let arn_tail = |nth: usize| {
        let arn = field::str(identity, "arn")?;
        arn.rsplit(':').next()?.split('/').nth(nth).map(Text::clip)
    };
    match kind {
        PrincipalKind::Service => field::text(identity, "invokedBy"),
        PrincipalKind::Role => field::text(issuer, "userName").or_else(|| arn_tail(1)),
        PrincipalKind::FederatedUser => arn_tail(1),
        PrincipalKind::IamUser => user_name().or_else(|| {
            let path_and_name = field::str(identity, "arn")?;
            path_and_name.rsplit('/').next().map(Text::clip)
        }),
        PrincipalKind::WebIdentity | PrincipalKind::Saml => {
            user_name().or_else(|| field::text(identity, "principalId"))
        }
        PrincipalKind::IdentityCenter => {
            field::text(field::at(identity, ["onBehalfOf"]), "userId").or_else(user_name)
        }
        PrincipalKind::AwsAccount | PrincipalKind::Root | PrincipalKind::Unknown => user_name(),
    }
}

fn credential(identity: Json<'_>) -> Credential {
    let key = field::str(identity, "accessKeyId").and_then(|it| it.parse::<AccessKeyId>().ok());
    let attributes = field::at(identity, ["sessionContext", "attributes"]);
    let created =
        field::str(attributes, "creationDate").and_then(|it| super::time::event_time(&it));
    match key {
        Some(key) if key.as_str().starts_with("AKIA") => Credential::LongTerm(key),
        None if created.is_none() => Credential::Unseen,
        key => Credential::Temporary { key, created },
    }
}

/// What the record proves about MFA for this call.
///
/// Credentials of the AssumeRole API carry no MFA context: their sessions read `"false"`
/// whatever happened at the first hop, so of a role session only `"true"` is believed. A
/// long-term key has no session context at all; there absence is certain, unless the granted
/// request itself carried a device's serial number.
pub(super) fn mfa(record: Json<'_>, principal: &Principal) -> Mfa {
    let identity = field::at(record, ["userIdentity"]);
    let context = field::at(identity, ["sessionContext", "attributes"]);
    let claimed = field::bool(context, "mfaAuthenticated");
    let request = field::at(record, ["requestParameters"]);
    let serial = field::str(request, "serialNumber");
    let granted = super::outcome(record) == crate::event::Outcome::Granted;
    match principal.kind {
        PrincipalKind::Service => Mfa::NotApplicable,
        _ if claimed == Some(true) || (serial.is_some() && granted) => Mfa::Present,
        // Of a refused call the log usually keeps no request, so nobody knows whether a code was
        // sent, and of one that was sent nobody knows whether it was right.
        _ if !granted && (serial.is_some() || request.is_null()) => Mfa::Unknown,
        PrincipalKind::IamUser | PrincipalKind::Root => match (&principal.credential, claimed) {
            (Credential::LongTerm(_), _) | (_, Some(false)) => Mfa::Absent,
            (Credential::Unseen, None) if principal.invoked_by.is_none() => Mfa::Absent,
            _ => Mfa::Unknown,
        },
        _ => Mfa::Unknown,
    }
}
