//! `aws iam get-account-authorization-details`: the roles of an account with their trust
//! policies, and what they may do.
//!
//! The answer holds more than is read here. A role without a readable ARN or policy is a
//! problem that is named, and the others are read.

use serde_json::Value;

use crate::glob::Glob;
use crate::id::{RoleArn, UniqueId};
use crate::text::{inline, url_decoded};
use crate::trust::TrustPolicy;

/// What one file tells.
#[derive(Debug, Default)]
pub struct Authorization {
    /// The roles, in the order of the file.
    pub roles: Vec<AuthorizedRole>,
    /// What could not be read, one sentence each.
    pub problems: Vec<String>,
}

/// A role of the account.
#[derive(Debug)]
pub struct AuthorizedRole {
    /// Its ARN.
    pub arn: RoleArn,
    /// Its unique id.
    pub id: Option<UniqueId>,
    /// Who may assume it.
    pub trust: TrustPolicy,
    /// Why whoever takes it is powerful; empty for a role that is not.
    pub powers: Vec<String>,
}

/// Reads the JSON of the command's answer.
///
/// # Errors
/// The text is no such answer.
pub fn read(json: &str) -> Result<Authorization, String> {
    let answer: Value =
        serde_json::from_str(json).map_err(|error| format!("is no JSON: {error}"))?;
    let Some(roles) = answer.get("RoleDetailList").and_then(Value::as_array) else {
        return Err("holds no `RoleDetailList`: give the output of `aws iam \
                    get-account-authorization-details`"
            .to_owned());
    };
    let managed = answer.get("Policies").and_then(Value::as_array);
    let managed: &[Value] = managed.map_or(&[], Vec::as_slice);
    let mut found = Authorization::default();
    for role in roles {
        match role_of(role, managed) {
            Ok(role) => found.roles.push(role),
            Err(problem) => found.problems.push(problem),
        }
    }
    if answer.get("IsTruncated") == Some(&Value::Bool(true)) {
        found.problems.push("the answer is truncated: let the command page to its end".to_owned());
    }
    Ok(found)
}

fn role_of(role: &Value, managed: &[Value]) -> Result<AuthorizedRole, String> {
    let text = |name: &str| role.get(name).and_then(Value::as_str);
    let arn = text("Arn").unwrap_or_default();
    let shown = inline(arn);
    let arn: RoleArn = arn.parse().map_err(|_| format!("a role has the ARN `{shown}`"))?;
    let document = role.get("AssumeRolePolicyDocument").map(document).unwrap_or_default();
    let trust = TrustPolicy::read(&document).map_err(|error| format!("{shown}: {error}"))?;
    let id = text("RoleId").and_then(|it| it.parse().ok());
    Ok(AuthorizedRole { arn, id, trust, powers: powers(role, managed) })
}

/// A document is JSON already, or its text, plain or URL-encoded.
fn document(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What makes whoever takes the role powerful: administrator access, writing in IAM, governing
/// the organisation.
fn powers(role: &Value, managed: &[Value]) -> Vec<String> {
    let mut powers = Vec::new();
    let list = |name: &str| role.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for attached in list("AttachedManagedPolicies") {
        let text = |name: &str| attached.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, arn) = (text("PolicyName"), text("PolicyArn"));
        match name {
            "AdministratorAccess"
            | "IAMFullAccess"
            | "PowerUserAccess"
            | "AWSOrganizationsFullAccess" => powers.push(format!("has {name}")),
            _ => {
                let of_policy =
                    managed.iter().find(|it| it.get("Arn") == attached.get("PolicyArn"));
                let what = of_policy.and_then(default_version).and_then(strongest);
                powers.extend(what.map(|what| format!("{what} by {}", inline(arn))));
            }
        }
    }
    for inline_policy in list("RolePolicyList") {
        let name = inline_policy.get("PolicyName").and_then(Value::as_str).unwrap_or_default();
        let what = inline_policy.get("PolicyDocument").and_then(strongest);
        powers.extend(what.map(|what| format!("{what} by its policy {}", inline(name))));
    }
    powers
}

fn default_version(policy: &Value) -> Option<&Value> {
    let versions = policy.get("PolicyVersionList")?.as_array()?;
    let is_default = |it: &&Value| it.get("IsDefaultVersion") == Some(&Value::Bool(true));
    versions.iter().find(is_default)?.get("Document")
}

/// What lets somebody become more than they are, strongest first: one of the actions is enough,
/// for it can be turned into the others. What stands behind `+` is needed beside the action.
const POWERS: &[(&str, &[&str])] = &[
    ("may do everything", &["iam:CreateUser+organizations:LeaveOrganization+s3:GetObject"]),
    (
        "may attach policies",
        &["iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:AttachGroupPolicy"],
    ),
    (
        "may write policies",
        &[
            "iam:PutRolePolicy",
            "iam:PutUserPolicy",
            "iam:PutGroupPolicy",
            "iam:CreatePolicyVersion",
            "iam:SetDefaultPolicyVersion",
        ],
    ),
    ("may write trust policies", &["iam:UpdateAssumeRolePolicy"]),
    (
        "may give itself credentials of others",
        &[
            "iam:CreateAccessKey",
            "iam:CreateLoginProfile",
            "iam:UpdateLoginProfile",
            "iam:AddUserToGroup",
            "iam:CreateServiceSpecificCredential",
        ],
    ),
    (
        "may lift limits of permissions",
        &[
            "iam:DeleteRolePermissionsBoundary",
            "iam:DeleteUserPermissionsBoundary",
            "iam:PutRolePermissionsBoundary",
            "iam:PutUserPermissionsBoundary",
            "iam:DeleteRolePolicy",
            "iam:DeleteUserPolicy",
            "iam:DetachRolePolicy",
            "iam:DetachUserPolicy",
        ],
    ),
    (
        "may write identity providers",
        &[
            "iam:CreateSAMLProvider",
            "iam:UpdateSAMLProvider",
            "iam:CreateOpenIDConnectProvider",
            "iam:AddClientIDToOpenIDConnectProvider",
            "iam:UpdateOpenIDConnectProviderThumbprint",
        ],
    ),
    (
        "may give access by Identity Center",
        &[
            "sso:CreateAccountAssignment",
            "sso:AttachManagedPolicyToPermissionSet",
            "sso:PutInlinePolicyToPermissionSet",
            "sso:AttachCustomerManagedPolicyReferenceToPermissionSet",
            "identitystore:CreateGroupMembership",
        ],
    ),
    (
        "governs the organisation",
        &[
            "organizations:AttachPolicy",
            "organizations:DetachPolicy",
            "organizations:CreatePolicy",
            "organizations:UpdatePolicy",
            "organizations:DeletePolicy",
            "organizations:EnablePolicyType",
            "organizations:DisablePolicyType",
            "organizations:PutResourcePolicy",
            "organizations:CreateAccount",
            "organizations:InviteAccountToOrganization",
            "organizations:MoveAccount",
            "organizations:CloseAccount",
            "organizations:RemoveAccountFromOrganization",
            "organizations:LeaveOrganization",
            "organizations:DeleteOrganization",
            "organizations:RegisterDelegatedAdministrator",
            "organizations:EnableAWSServiceAccess",
            "organizations:DisableAWSServiceAccess",
        ],
    ),
    ("may act as root of member accounts", &["sts:AssumeRoot"]),
    (
        "may give roles to services that it commands",
        &[
            "iam:PassRole+lambda:CreateFunction",
            "iam:PassRole+lambda:UpdateFunctionConfiguration",
            "iam:PassRole+ec2:RunInstances",
            "iam:PassRole+ec2:AssociateIamInstanceProfile",
            "iam:PassRole+ecs:RegisterTaskDefinition",
            "iam:PassRole+cloudformation:CreateStack",
            "iam:PassRole+glue:CreateDevEndpoint",
            "iam:PassRole+glue:CreateJob",
            "iam:PassRole+sagemaker:CreateNotebookInstance",
            "iam:PassRole+codebuild:CreateProject",
            "iam:PassRole+datapipeline:CreatePipeline",
            "iam:PassRole+ssm:StartAutomationExecution",
            "iam:PassRole+states:CreateStateMachine",
        ],
    ),
];

/// The strongest thing that a permission policy allows. Conditions, denials and resources are
/// not weighed, but for those of `iam:PassRole`: this finds roles worth a look.
fn strongest(policy: &Value) -> Option<&'static str> {
    let plain = |text: &str| serde_json::from_str::<Value>(text).ok();
    let encoded = |text: &str| plain(&url_decoded(text)?);
    let decoded = policy.as_str().and_then(|text| plain(text).or_else(|| encoded(text)));
    let policy = decoded.as_ref().unwrap_or(policy);
    let statements: Vec<Allowed> =
        policy.get("Statement").map(items).unwrap_or_default().iter().filter_map(allowed).collect();
    let allows = |action: &str| statements.iter().any(|it| it.allows(action));
    let found = POWERS.iter().find(|(_, ways)| ways.iter().any(|way| way.split('+').all(allows)));
    found.map(|(what, _)| *what)
}

/// What one statement allows.
struct Allowed {
    actions: Vec<Glob>,
    /// Whether it allows what it does not name.
    is_negated: bool,
    /// Whether it is about all roles.
    is_for_all_roles: bool,
}

impl Allowed {
    fn allows(&self, action: &str) -> bool {
        let is_named = self.actions.iter().any(|it| it.matches(&action.to_lowercase()));
        is_named != self.is_negated && (self.is_for_all_roles || action != "iam:PassRole")
    }
}

fn allowed(statement: &Value) -> Option<Allowed> {
    let is_allow = statement.get("Effect")?.as_str()?.eq_ignore_ascii_case("Allow");
    let texts = |name: &str| -> Option<Vec<String>> {
        let values = items(statement.get(name)?);
        Some(values.iter().filter_map(|it| Some(it.as_str()?.to_owned())).collect())
    };
    let (actions, is_negated) = match (texts("Action"), texts("NotAction")) {
        (Some(actions), _) => (actions, false),
        (None, actions) => (actions?, true),
    };
    let is_every_role = |it: &String| it == "*" || it.ends_with(":*") || it.ends_with(":role/*");
    let is_for_all_roles = texts("Resource").is_none_or(|it| it.iter().any(is_every_role));
    let actions = actions.iter().map(|it| Glob::new(&it.to_lowercase())).collect();
    is_allow.then_some(Allowed { actions, is_negated, is_for_all_roles })
}

/// The items of a list, or the one value that stands for a list of one.
fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn power_is_found_in_attached_managed_and_inline_policies() {
        let allow = |action: &str| json!({"Statement": {"Effect": "Allow", "Action": action}});
        let managed = [json!({"Arn": "arn:p", "PolicyVersionList": [
            {"IsDefaultVersion": false, "Document": allow("*")},
            {"IsDefaultVersion": true, "Document": allow("iam:Put*")},
        ]})];
        let attached = |name: &str, arn: &str| json!({"AttachedManagedPolicies": [{"PolicyName": name, "PolicyArn": arn}]});
        let by_inline = |document: Value| json!({"RolePolicyList": [{"PolicyName": "p", "PolicyDocument": document}]});
        for (role, expected) in [
            (attached("AdministratorAccess", "arn:aws:x"), Some("has AdministratorAccess")),
            (attached("Own", "arn:p"), Some("may write policies by arn:p")),
            (attached("ReadOnlyAccess", "arn:aws:x"), None),
            (by_inline(allow("*")), Some("may do everything by its policy p")),
            (
                by_inline(json!(allow("IAM:Attach*").to_string())),
                Some("may attach policies by its policy p"),
            ),
            (by_inline(allow("s3:*")), None),
            (
                by_inline(json!(
                    "%7B%22Statement%22:%7B%22Effect%22:%22Allow%22,%22Action%22:%22*%22%7D%7D"
                )),
                Some("may do everything by its policy p"),
            ),
            (by_inline(json!({"Statement": [{"Effect": "Deny", "Action": "*"}]})), None),
        ] {
            assert_eq!(powers(&role, &managed).first().map(String::as_str), expected, "{role}");
        }
    }

    #[test]
    fn every_way_to_more_power_is_found_alone() {
        for (what, ways) in POWERS {
            for way in *ways {
                let actions: Vec<&str> = way.split('+').collect();
                let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
                assert_eq!(strongest(&json!({"Statement": statement})), Some(*what), "{way}");
            }
        }
        let of = |statement: Value| strongest(&json!({"Statement": [statement]}));
        let without =
            |actions: Value| json!({"Effect": "Allow", "NotAction": actions, "Resource": "*"});
        assert_eq!(of(without(json!("sqs:*"))), Some("may do everything"));
        assert_eq!(of(without(json!(["s3:*"]))), Some("may attach policies"));
        let power_user =
            json!(["iam:*", "organizations:*", "account:*", "sso:*", "identitystore:*"]);
        assert_eq!(of(without(power_user)), Some("may act as root of member accounts"));
        assert_eq!(of(json!({"Effect": "Deny", "NotAction": "s3:*"})), None);
        let pass = |resource: &str| {
            of(
                json!({"Effect": "Allow", "Action": ["iam:PassRole", "lambda:*"], "Resource": resource}),
            )
        };
        assert_eq!(pass("arn:aws:iam::111122223333:role/lambda-app"), None);
        assert!(pass("arn:aws:iam::111122223333:role/*").is_some());
        for harmless in
            ["iam:Get*", "iam:List*", "iam:PassRole", "organizations:Describe*", "sts:*Role"]
        {
            assert_eq!(of(json!({"Effect": "Allow", "Action": harmless})), None, "{harmless}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_is_read() {
        assert!(read("{").unwrap_err().contains("no JSON"));
        assert!(read("{}").unwrap_err().contains("RoleDetailList"));
        let good = json!({"Arn": "arn:aws:iam::111122223333:role/a", "RoleId": "AROAEXAMPLEA",
            "AssumeRolePolicyDocument": "%7B%22Statement%22%3A%5B%5D%7D"});
        let answer = json!({"RoleDetailList": [{"Arn": "x"}, good,
            {"Arn": "arn:aws:iam::111122223333:role/b", "AssumeRolePolicyDocument": 7}]});
        let found = read(&answer.to_string()).unwrap();
        assert_eq!((found.roles.len(), found.problems.len()), (1, 2), "{:?}", found.problems);
        assert_eq!(found.roles[0].id.as_ref().unwrap().as_str(), "AROAEXAMPLEA");
    }
}
