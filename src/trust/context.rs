//! What is known of a request when a policy is asked about it.

use std::collections::HashMap;

use super::action::Ask;
use super::principal::host_of;
use crate::event::{Assumption, Credential, ExternalIdUse, Mfa, Principal, PrincipalKind};
use crate::id::{Address, ExternalId, RoleArn};
use crate::text::Text;

/// What is known of one key of a request's context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It has these values, mostly one.
    Values(Vec<String>),
    /// It has a value of which the hash is known.
    Secret(ExternalId),
    /// The request does not have the key.
    Absent,
    /// The record does not tell.
    Unknown,
}

impl Known {
    /// One known value.
    #[must_use]
    pub fn value(text: &str) -> Self {
        Self::Values(vec![text.to_owned()])
    }
}

/// A request for a role's credentials.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Which call.
    pub ask: Ask,
    /// Who asks.
    pub caller: &'a Principal,
    /// What is known, by key in lower case. Of any other key nothing is known.
    pub context: HashMap<String, Known>,
}

impl<'a> Request<'a> {
    /// The request that a record tells of; `None` for a call that no trust policy is about.
    #[must_use]
    pub fn of(it: &'a Assumption) -> Option<Self> {
        let caller = &it.call.principal;
        let mut request =
            Self { ask: Ask::by_event_name(it.call.name)?, caller, context: HashMap::new() };
        request.add_session(it);
        request.add_call(it);
        request.add_caller();
        request.add_provider();
        Some(request)
    }

    /// What is known of a key, which is in lower case.
    #[must_use]
    pub fn value(&self, key: &str) -> &Known {
        self.context.get(key).unwrap_or(&Known::Unknown)
    }

    fn add(&mut self, key: &str, known: Known) {
        self.context.insert(key.to_owned(), known);
    }

    fn add_text(&mut self, key: &str, text: Option<&Text>) {
        if let Some(text) = text {
            self.add(key, Known::value(text.as_str()));
        }
    }

    fn add_session(&mut self, it: &Assumption) {
        let external_id = match it.external_id {
            ExternalIdUse::Given(id) => Known::Secret(id),
            ExternalIdUse::Absent => Known::Absent,
            // The calls of identity providers have no place for one.
            ExternalIdUse::Unknown if self.ask != Ask::AssumeRole => Known::Absent,
            ExternalIdUse::Unknown => Known::Unknown,
        };
        self.add("sts:externalid", external_id);
        self.add_text("sts:rolesessionname", it.session.name.as_ref());
        self.add_text("sts:sourceidentity", it.session.source_identity.as_ref());
    }

    fn add_call(&mut self, it: &Assumption) {
        let call = &it.call;
        self.add("aws:currenttime", Known::value(&call.time.to_string()));
        self.add("aws:epochtime", Known::value(&call.time.as_second().to_string()));
        self.add("aws:securetransport", Known::value("true"));
        // A private address came through an endpoint, where the key is another one.
        if let Address::Ip(ip) = &call.address
            && *call.address.block().as_str() != *"private"
        {
            self.add("aws:sourceip", Known::value(&ip.to_canonical().to_string()));
        }
        let long_term = matches!(call.principal.credential, Credential::LongTerm(_));
        let mfa = match call.mfa {
            Mfa::Present => Known::value("true"),
            Mfa::Absent if long_term => Known::Absent,
            // Of a session of a role it tells of the origin, and not of the call.
            Mfa::Absent if call.principal.kind == PrincipalKind::IamUser => Known::value("false"),
            Mfa::NotApplicable => Known::Absent,
            Mfa::Absent | Mfa::Inherited | Mfa::Unknown => Known::Unknown,
        };
        if mfa == Known::Absent {
            self.add("aws:multifactorauthage", Known::Absent);
        }
        self.add("aws:multifactorauthpresent", mfa);
    }

    fn add_caller(&mut self) {
        let caller = self.caller;
        let is_service = caller.kind == PrincipalKind::Service;
        if caller.kind != PrincipalKind::Unknown {
            let flag = if is_service { "true" } else { "false" };
            self.add("aws:principalisawsservice", Known::value(flag));
        }
        if let Some(account) = caller.account {
            self.add("aws:principalaccount", Known::value(&account.to_string()));
        }
        match caller.kind {
            PrincipalKind::IamUser => {
                self.add_text("aws:principalarn", caller.arn.as_ref());
                self.add_text("aws:username", caller.name.as_ref());
                self.add("aws:principaltype", Known::value("User"));
            }
            PrincipalKind::Role => {
                if let Some(role) = caller.issuer.as_ref().map(RoleArn::as_str) {
                    self.add("aws:principalarn", Known::value(role));
                }
                self.add("aws:username", Known::Absent);
                self.add("aws:principaltype", Known::value("AssumedRole"));
            }
            PrincipalKind::Service => {}
            _ => return,
        }
        // Services alone say for whom they act.
        if !is_service {
            self.add("aws:sourceaccount", Known::Absent);
            self.add("aws:sourcearn", Known::Absent);
        } else {
            for key in ["aws:principalorgid", "aws:principalarn", "aws:principalaccount"] {
                self.add(key, Known::Absent);
            }
        }
    }

    /// What an OIDC token says: the record tells its subject and not its audience.
    fn add_provider(&mut self) {
        let caller = self.caller;
        if caller.kind != PrincipalKind::WebIdentity {
            return;
        }
        if let (Some(provider), Some(subject)) = (&caller.provider, &caller.name) {
            let host = host_of(provider.as_str()).to_lowercase();
            self.add(&format!("{host}:sub"), Known::value(subject.as_str()));
        }
    }
}
