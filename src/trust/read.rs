//! Reading a document.
//!
//! A document that is no JSON, or no object, is [`Unreadable`]; anything smaller that is not
//! understood becomes a note on the policy or on its statement, and the rest is read.

use std::collections::HashSet;

use super::action::Actions;
use super::condition::Condition;
use super::json::Json;
use super::keys;
use super::operand::Operand;
use super::operator::{Operator, Test};
use super::principal::{Principals, Trusted};
use super::{Effect, Statement, TrustPolicy};
use crate::text::{Text, inline, url_decoded};

/// Bytes of a document that are read. IAM lets a trust policy have 2,048 characters, 8,192 by
/// a raised quota, white space not counted.
pub const MAX_BYTES: usize = 64 * 1_024;
/// Notes kept of one policy, so that a document of nonsense stays small.
const MAX_NOTES: usize = 16;
/// Principals, actions and values read from one list. By its quota a policy holds fewer.
const MAX_ITEMS: usize = 512;

/// Why a document could not be read at all. Shows nothing of it: it may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Longer than any that IAM accepts.
    #[error("the document is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// No JSON, or nested deeper than any policy.
    #[error("the document is no JSON")]
    NoJson,
    /// JSON, but no object with statements.
    #[error("the document is no policy")]
    NoPolicy,
}

impl TrustPolicy {
    /// Reads a document, as plain JSON or URL-encoded as IAM's answers have it.
    ///
    /// # Errors
    /// The document is not a policy at all. What is merely not understood is noted.
    pub fn read(document: &str) -> Result<Self, Unreadable> {
        if document.len() > MAX_BYTES {
            return Err(Unreadable::TooLong);
        }
        let is_encoded = document.trim_start().starts_with('%');
        let decoded = if is_encoded { url_decoded(document) } else { None };
        let json = serde_json::from_str(decoded.as_deref().unwrap_or(document));
        let Json::Object(members) = json.map_err(|_| Unreadable::NoJson)? else {
            return Err(Unreadable::NoPolicy);
        };
        let mut notes = Notes::default();
        let mut members = Members::of(members, &mut notes);
        let version = members.take("Version");
        let has_variables = version == Some(Json::Text("2012-10-17".to_owned()));
        members.take("Id");
        let statements = members.take("Statement").ok_or(Unreadable::NoPolicy)?;
        members.note_rest(&mut notes);
        let statements = capped(statements.items(), "a list of statements", &mut notes);
        let statements = statements.iter().map(|it| statement(it, has_variables)).collect();
        Ok(Self { statements, has_variables, notes: notes.0 })
    }
}

/// What was not understood.
#[derive(Default)]
struct Notes(Vec<Text>);

impl Notes {
    fn add(&mut self, note: &str) {
        let note = Text::clip(note);
        if self.0.len() < MAX_NOTES && !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}

fn note_doubles(members: &[(String, Json)], shown: impl Fn(&str) -> String, notes: &mut Notes) {
    let mut seen = HashSet::new();
    for (name, _) in members {
        if !seen.insert(name.to_ascii_lowercase()) {
            notes.add(&format!("`{}` is there twice", inline(&shown(name))));
        }
    }
}

/// The first [`MAX_ITEMS`]; that there are more is noted.
fn capped<'a, T>(items: &'a [T], what: &str, notes: &mut Notes) -> &'a [T] {
    if items.len() > MAX_ITEMS {
        notes.add(&format!("{what} holds {} items, and {MAX_ITEMS} were read", items.len()));
    }
    items.get(..MAX_ITEMS).unwrap_or(items)
}

/// The members of an object, taken one by one without regard to case. A doubled one is noted:
/// which of them IAM takes is not known.
struct Members(Vec<(String, Json)>);

impl Members {
    fn of(members: Vec<(String, Json)>, notes: &mut Notes) -> Self {
        note_doubles(&members, str::to_owned, notes);
        Self(members)
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        let mut found = None;
        self.0.retain_mut(|(known, value)| {
            let same = known.eq_ignore_ascii_case(name);
            if same && found.is_none() {
                found = Some(std::mem::replace(value, Json::Null));
            }
            !same
        });
        found
    }

    fn note_rest(self, notes: &mut Notes) {
        for (name, _) in self.0 {
            notes.add(&format!("`{}` is no element of a trust policy", inline(&name)));
        }
    }
}

fn statement(json: &Json, has_variables: bool) -> Statement {
    let mut notes = Notes::default();
    let members = match json {
        Json::Object(members) => members.clone(),
        other => {
            notes.add(&format!("a statement is {}", other.kind()));
            Vec::new()
        }
    };
    let mut members = Members::of(members, &mut notes);
    let sid = members.take("Sid").and_then(|it| text(&it).map(|it| Text::clip(&keys::sid(&it))));
    let effect = effect(members.take("Effect"), &mut notes);
    let principals = either(&mut members, ["Principal", "NotPrincipal"], &mut notes);
    let principals = match principals {
        Some((false, json)) => Principals::Only(trusted(&json, &mut notes)),
        Some((true, json)) => Principals::AllBut(trusted(&json, &mut notes)),
        None => Principals::Only(Vec::new()),
    };
    let actions = either(&mut members, ["Action", "NotAction"], &mut notes);
    let actions = match actions {
        Some((false, json)) => Actions::Only(actions_of(&json, &mut notes)),
        Some((true, json)) => Actions::AllBut(actions_of(&json, &mut notes)),
        None => Actions::Only(Vec::new()),
    };
    let conditions = match members.take("Condition") {
        Some(json) => conditions(&json, has_variables, &mut notes),
        None => Vec::new(),
    };
    members.note_rest(&mut notes);
    Statement { sid, effect, principals, actions, conditions, notes: notes.0 }
}

fn effect(json: Option<Json>, notes: &mut Notes) -> Effect {
    match json.as_ref().and_then(text).as_deref() {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => {
            notes.add("the effect is neither `Allow` nor `Deny`");
            Effect::Unclear
        }
    }
}

/// An element or its negation, of which a statement has one.
fn either(members: &mut Members, names: [&str; 2], notes: &mut Notes) -> Option<(bool, Json)> {
    let [plain, negated] = names;
    match (members.take(plain), members.take(negated)) {
        (Some(json), None) => Some((false, json)),
        (None, Some(json)) => Some((true, json)),
        (Some(json), Some(_)) => {
            notes.add(&format!("`{plain}` and `{negated}` stand together"));
            Some((false, json))
        }
        (None, None) => {
            notes.add(&format!("`{plain}` is missing"));
            None
        }
    }
}

fn trusted(json: &Json, notes: &mut Notes) -> Vec<Trusted> {
    let mut found = Vec::new();
    let kinds = match json {
        Json::Text(all) if all == "*" => return vec![Trusted::Anybody],
        Json::Object(kinds) => kinds,
        other => {
            notes.add(&format!("the principal is {}", other.kind()));
            return found;
        }
    };
    note_doubles(kinds, keys::kind, notes);
    for (kind, values) in capped(kinds, "the principal", notes) {
        let kind = keys::kind(kind);
        for value in texts(values, "a principal", notes) {
            let principal = match kind.to_ascii_lowercase().as_str() {
                "aws" => Trusted::aws(value.as_str()),
                "service" => Trusted::Service(value),
                "federated" => Trusted::Federated(value),
                _ => Trusted::Other { kind: Text::clip(&kind), value },
            };
            let principal = match principal {
                Trusted::Other { value, .. } => {
                    let shown = inline(&kind);
                    notes.add(&format!(
                        "a principal of kind `{shown}` has a form that is not known"
                    ));
                    let value = Text::clip(&keys::principal(&kind, value.as_str()));
                    Trusted::Other { kind: Text::clip(&kind), value }
                }
                known => known,
            };
            if !found.contains(&principal) {
                found.push(principal);
            }
        }
    }
    found
}

fn actions_of(json: &Json, notes: &mut Notes) -> Vec<Text> {
    let written = texts(json, "an action", notes);
    written.iter().map(|it| Text::clip(&keys::action(it.as_str()))).collect()
}

fn conditions(json: &Json, has_variables: bool, notes: &mut Notes) -> Vec<Condition> {
    let mut found = Vec::new();
    let Json::Object(operators) = json else {
        notes.add(&format!("the condition is {}", json.kind()));
        return found;
    };
    note_doubles(operators, |name| keys::operator(name).name(), notes);
    for (name, members) in capped(operators, "the condition", notes) {
        let is_about_id = keys::smells(name);
        let operator = keys::operator(name);
        let name = operator.name();
        if let Test::Unknown(_) = operator.test {
            notes.add(&format!("the operator `{}` is not known", inline(&name)));
        }
        let Json::Object(members) = members else {
            let kind = members.kind();
            notes.add(&format!("`{}` holds {kind} where keys belong", inline(&name)));
            continue;
        };
        note_doubles(members, |key| keys::key(&key.to_lowercase()), notes);
        for (key, values) in capped(members, "a condition", notes) {
            let reader = Reader { operator: operator.clone(), is_about_id, has_variables };
            found.push(reader.condition(key, values, notes));
        }
    }
    found
}

/// What there is to know for reading one condition.
struct Reader {
    operator: Operator,
    /// Whether what stands in the operator's place is a word for ExternalIds.
    is_about_id: bool,
    has_variables: bool,
}

impl Reader {
    fn condition(self, key: &str, values: &Json, notes: &mut Notes) -> Condition {
        let Self { operator, is_about_id, has_variables } = self;
        let key = key.to_lowercase();
        let is_swapped = is_about_id
            || values.items().iter().any(|it| text(it).is_some_and(|it| keys::smells(&it)));
        let is_public = keys::is_public(&key) && !is_swapped;
        let key = if is_swapped { keys::shown(&key) } else { keys::key(&key) };
        // Of an unknown operator nobody knows whether it takes patterns.
        let is_pattern =
            matches!(operator.test, Test::String { like: true, .. } | Test::Unknown(_));
        let mut operands: Vec<Operand> = Vec::new();
        for value in capped(values.items(), "a list of values", notes) {
            let operand = match text(value) {
                Some(clear) if !is_public && !is_flag(&operator, &clear) => {
                    Operand::secret(&clear, is_pattern, has_variables)
                }
                Some(text) if text.len() <= Text::MAX_BYTES => Operand::Text(Text::clip(&text)),
                Some(_) => {
                    notes.add(&format!("a value of `{}` is too long to keep", inline(&key)));
                    Operand::Unreadable
                }
                None => {
                    let kind = value.kind();
                    notes.add(&format!("a value of `{}` is {kind}", inline(&key)));
                    Operand::Unreadable
                }
            };
            if !operands.contains(&operand) {
                operands.push(operand);
            }
        }
        Condition { operator, key: Text::clip(&key), operands }
    }
}

/// Whether a value is no more than the `true` or `false` that its operator asks for.
fn is_flag(operator: &Operator, value: &str) -> bool {
    let is = |word: &str| value.eq_ignore_ascii_case(word);
    matches!(operator.test, Test::Null | Test::Bool) && (is("true") || is("false"))
}

/// The texts of a list, or the one text that stands for a list of one.
fn texts(json: &Json, what: &str, notes: &mut Notes) -> Vec<Text> {
    let mut found = Vec::new();
    for item in capped(json.items(), "a list", notes) {
        if !matches!(item, Json::Text(_)) {
            notes.add(&format!("{what} is {}", item.kind()));
        }
        let Some(item) = text(item) else { continue };
        if item.len() > Text::MAX_BYTES {
            notes.add(&format!("{what} is too long to keep"));
        }
        found.push(Text::clip(&item));
    }
    found
}

/// A text, a number or a boolean: IAM takes the latter two for their texts.
fn text(json: &Json) -> Option<String> {
    match json {
        Json::Text(text) | Json::Number(text) => Some(text.clone()),
        Json::Bool(it) => Some(it.to_string()),
        Json::Null | Json::List(_) | Json::Object(_) => None,
    }
}
