//! What one who asks may do. How it is proved who asks, `auth` knows.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

/// A right of its own: none contains another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The graph.
    Read,
    /// Personal data of the graph.
    PersonalRead,
    /// Tables of the graph as files.
    Export,
    /// `POST /events`.
    EventsWrite,
    /// What counts everything: `projection`, `catalog`, dead letters, metrics.
    OpsRead,
    /// What changes how the service runs: retry, discard, checkpoint.
    OpsWrite,
}

impl Scope {
    pub const ALL: [Scope; 6] =
        [Scope::Read, Scope::PersonalRead, Scope::Export, Scope::EventsWrite, Scope::OpsRead, Scope::OpsWrite];

    /// Its name in configurations and tokens.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::PersonalRead => "pii:read",
            Scope::Export => "export",
            Scope::EventsWrite => "events:write",
            Scope::OpsRead => "ops:read",
            Scope::OpsWrite => "ops:write",
        }
    }

    pub fn named(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Some scopes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    pub fn all() -> Scopes {
        Scope::ALL.into_iter().collect()
    }

    pub fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Scopes {
        Scopes(scopes.into_iter().fold(0, |all, scope| all | 1 << scope as u8))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Scope::name)).finish()
    }
}

/// Who asks, as far as logs may say it: a token's subject is often a person, and is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody who proved anything.
    Anonymous,
    /// This machine, where no authentication is configured.
    Machine,
    /// The holder of a token of the configuration, by its name there.
    Token(Arc<str>),
    /// Whom an issuer vouches for, by the issuer.
    Issuer(Arc<str>),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Anonymous => f.write_str("anonymous"),
            Who::Machine => f.write_str("this machine"),
            Who::Token(name) => write!(f, "token {name}"),
            Who::Issuer(issuer) => write!(f, "issuer {issuer}"),
        }
    }
}

/// A rule of which rows of an entity may be seen, as the configuration has it. Made by `config`, compiled by `api`.
#[derive(Clone, Debug, PartialEq)]
pub struct RowRule {
    /// Where it stands.
    pub place: String,
    pub entity: String,
    /// A filter of the entity in GraphQL, `$name` for a claim of the token; none where it is open.
    pub filter: Option<String>,
    /// By claim: values by which it lifts the rule. Each of these claims must.
    pub unless: Vec<(String, Vec<Json>)>,
    /// Whether it is asked of all, beside what grants.
    pub require: bool,
}

impl RowRule {
    /// Whether one with these claims is not asked for it.
    pub fn is_lifted(&self, claims: &Map<String, Json>) -> bool {
        let names = |values: &[Json], claim: &Json| match claim {
            Json::Array(members) => members.iter().any(|member| values.contains(member)),
            claim => values.contains(claim),
        };
        !self.unless.is_empty()
            && self.unless.iter().all(|(name, values)| claims.get(name).is_some_and(|claim| names(values, claim)))
    }
}

/// What one request may do. Every read of a request goes with its rights.
#[derive(Clone, PartialEq)]
pub struct Rights {
    pub scopes: Scopes,
    /// Of the token, verified; none without one. They are personal data.
    pub claims: Map<String, Json>,
    pub who: Who,
}

impl Rights {
    /// Rights of one without claims.
    pub fn new(who: Who, scopes: Scopes) -> Rights {
        Rights { scopes, claims: Map::new(), who }
    }

    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }

    /// What is said to one who has none of the scopes that something needs.
    pub fn lacks(&self, what: &str, needs: &[Scope]) -> String {
        let names: Vec<String> = needs.iter().map(|scope| format!("`{}`", scope.name())).collect();
        let names = names.join(" or ");
        match self.who {
            Who::Anonymous => format!("{what} needs the scope {names}: send a token, as `Authorization: Bearer …`"),
            _ => format!("{what} needs the scope {names}, which this token does not have"),
        }
    }

    pub fn sees_personal(&self) -> bool {
        self.may(Scope::PersonalRead)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rights").field("who", &self.who).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_is_its_own() {
        for scope in Scope::ALL {
            let one: Scopes = [scope].into_iter().collect();
            assert_eq!(one.iter().collect::<Vec<_>>(), [scope]);
            assert_eq!(Scope::named(scope.name()), Some(scope));
            assert!(Scopes::all().has(scope) && !Scopes::default().has(scope));
        }
        assert_eq!(format!("{:?}", Scopes::all()).matches('"').count(), 2 * Scope::ALL.len());
    }

    #[test]
    fn claims_are_not_shown() {
        let claims = Map::from_iter([("sub".to_owned(), Json::from("ann"))]);
        let rights = Rights { claims, ..Rights::new(Who::Issuer("https://login.example".into()), Scopes::all()) };
        assert!(!format!("{rights:?}").contains("ann"));
    }
}
