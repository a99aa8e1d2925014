//! Somebody, with the roles that the platform and the owners gave to him.
//!
//! Not here: what a role may do (`action`), keeping members in the store (`members`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::action::{ObjectId, ObjectKind};
use crate::store::{NamespaceName, Scope};

/// The role of a member, each including the one before (security RB-1 to RB-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads configuration, verdicts, metrics.
    Viewer,
    /// Drafts, checks, looks at differences.
    Editor,
    /// Publishes, rolls back, moves rollouts, reads sample values.
    Publisher,
    /// Keeps members, keys, secrets, and references granted to others.
    Owner,
}

impl Role {
    /// From the least to the most.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Editor, Role::Publisher, Role::Owner];

    /// As it is written in `members`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Editor => "editor",
            Role::Publisher => "publisher",
            Role::Owner => "owner",
        }
    }
}

/// One who can be a member: `user:NAME`, `group:NAME` or `token:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who(Box<str>);

impl Who {
    /// `None` for anything else; a name has 1 to 200 characters, none of them a control
    /// character or a space.
    pub fn parse(text: &str) -> Option<Who> {
        let (kind, name) = text.split_once(':')?;
        let known = matches!(kind, "user" | "group" | "token");
        let good = (1..=200).contains(&name.chars().count())
            && !name.chars().any(|letter| letter.is_control() || letter.is_whitespace());
        (known && good).then(|| Who(text.into()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_group(&self) -> bool {
        self.0.starts_with("group:")
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Who {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Who, D::Error> {
        let text = String::deserialize(deserializer)?;
        Who::parse(&text).ok_or_else(|| serde::de::Error::custom("nobody who can be a member"))
    }
}

/// Who somebody proved to be, before any role is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// A user or a token.
    pub who: Who,
    pub groups: BTreeSet<Who>,
    /// Security RB-5; written in no document, so that no document gives it.
    pub platform_admin: bool,
}

/// Everybody's roles, from the platform's document and from the store.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    roles: BTreeMap<(NamespaceName, Who), Role>,
    fields: BTreeMap<Who, BTreeSet<ObjectId>>,
}

impl Membership {
    /// Nobody has a role.
    pub fn new() -> Membership {
        Membership::default()
    }

    /// Gives a role; of several the highest holds.
    pub fn grant(&mut self, namespace: &NamespaceName, who: &Who, role: Role) {
        let held = self.roles.entry((namespace.clone(), who.clone())).or_insert(role);
        *held = role.max(*held);
    }

    /// Opens one settings field to somebody (security RB-10).
    pub fn open_field(&mut self, who: &Who, field: ObjectId) {
        self.fields.entry(who.clone()).or_default().insert(field);
    }

    /// Opens what stands under `settings.SERVICE.access` of a team's document, the live one: whoever
    /// may publish it says whom he opens a field to (security RB-10).
    pub fn open_fields(
        &mut self,
        namespace: &NamespaceName,
        document: &crate::document::Namespace,
    ) {
        let scope = Scope::Namespace(namespace.clone());
        for (service, rules) in &document.settings {
            let crate::document::SettingsRules { values: _, require: _, access } = rules;
            for (field, people) in access {
                let name = format!("{service}/{field}");
                let field = ObjectId::named(ObjectKind::SettingsField, &scope, name);
                people.iter().for_each(|who| self.open_field(who, field.clone()));
            }
        }
    }

    /// Takes in what stands under `namespaces.NAME.members` of the platform's document. Words
    /// that name nobody give nothing.
    pub fn add_document(&mut self, namespace: &NamespaceName, members: &crate::document::Members) {
        for (role, names) in members.by_role() {
            for who in names.iter().filter_map(|name| Who::parse(name)) {
                self.grant(namespace, &who, role);
            }
        }
    }

    /// The identity with all that it and its groups were given.
    pub fn principal(&self, identity: &Identity) -> Principal {
        let Identity { who, groups, platform_admin } = identity;
        // Only a group stands for others: who calls himself `user:ann` in a list of groups is not.
        let names = || std::iter::once(who).chain(groups.iter().filter(|group| group.is_group()));
        let mut roles: BTreeMap<NamespaceName, Role> = BTreeMap::new();
        for ((namespace, member), role) in &self.roles {
            if names().any(|name| name == member) {
                let held = roles.entry(namespace.clone()).or_insert(*role);
                *held = (*role).max(*held);
            }
        }
        let fields = names().filter_map(|name| self.fields.get(name)).flatten().cloned().collect();
        Principal {
            name: who.to_string(),
            kind: PrincipalKind::Person,
            roles,
            fields,
            platform_admin: *platform_admin,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PrincipalKind {
    Person,
    /// The gateway itself, for what it does on its own.
    Gateway,
}

/// Somebody with his rights, as [`super::authorise`] sees him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    kind: PrincipalKind,
    roles: BTreeMap<NamespaceName, Role>,
    fields: BTreeSet<ObjectId>,
    platform_admin: bool,
}

impl Principal {
    /// The gateway, for what it does on its own: it reads to serve, claims what a
    /// service tells beside its document, rolls back by itself and moves rollouts, and nothing
    /// else.
    pub fn gateway() -> Principal {
        Principal {
            name: "gateway".to_owned(),
            kind: PrincipalKind::Gateway,
            roles: BTreeMap::new(),
            fields: BTreeSet::new(),
            platform_admin: false,
        }
    }

    /// As it stands in the audit log: `user:ann`, `token:ci`, `gateway`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role in what belongs to `scope`; nobody has one in the platform's own.
    pub fn role_in(&self, scope: &Scope) -> Option<Role> {
        match scope {
            Scope::Platform => None,
            Scope::Namespace(name) => self.roles.get(name).copied(),
        }
    }

    /// Whether some settings field of `scope` was opened to him (security RB-10): an act may be
    /// his, and the act itself tells.
    pub fn has_a_field_in(&self, scope: &Scope) -> bool {
        self.fields.iter().any(|field| field.scope == *scope)
    }

    pub(super) fn is_gateway(&self) -> bool {
        self.kind == PrincipalKind::Gateway
    }

    pub(super) fn is_platform_admin(&self) -> bool {
        self.platform_admin
    }

    pub(super) fn may_change_field(&self, field: &ObjectId) -> bool {
        self.fields.contains(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_users_groups_and_tokens_are_members() {
        for good in ["user:ann", "group:shop-leads", "token:ci", "user:ann@example.com", "user:a:b"]
        {
            assert_eq!(Who::parse(good).as_ref().map(Who::as_str), Some(good));
        }
        let long = format!("user:{}", "a".repeat(201));
        for bad in ["ann", "user:", "gateway", "root:ann", "user:a b", "user:a\nb", "", &long] {
            assert_eq!(Who::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_principal_has_the_highest_role_that_he_or_a_group_of_his_was_given() {
        let shop = NamespaceName::new("shop").unwrap();
        let who = |text: &str| Who::parse(text).unwrap();
        let mut membership = Membership::new();
        membership.grant(&shop, &who("user:ann"), Role::Viewer);
        membership.grant(&shop, &who("group:leads"), Role::Owner);
        membership.grant(&shop, &who("group:leads"), Role::Editor);
        let role = |name, groups: &[&str]| {
            let groups = groups.iter().map(|group| who(group)).collect();
            let identity = Identity { who: who(name), groups, platform_admin: false };
            membership.principal(&identity).role_in(&Scope::Namespace(shop.clone()))
        };
        assert_eq!(role("user:ann", &[]), Some(Role::Viewer));
        assert_eq!(role("user:ann", &["group:leads"]), Some(Role::Owner));
        assert_eq!(role("user:bob", &["group:leads"]), Some(Role::Owner));
        assert_eq!(role("user:bob", &["group:others"]), None);
        assert_eq!(role("token:ann", &[]), None);
        // A list of groups that names a user makes nobody that user.
        assert_eq!(role("user:bob", &["user:ann"]), None);
    }

    #[test]
    fn members_of_the_platforms_document_are_members() {
        let shop = NamespaceName::new("shop").unwrap();
        let document = crate::document::Members {
            owner: vec!["user:ann".to_owned(), "nobody".to_owned()],
            viewer: vec!["user:ann".to_owned(), "user:bob".to_owned()],
            ..Default::default()
        };
        let mut membership = Membership::new();
        membership.add_document(&shop, &document);
        let role = |name| {
            let who = Who::parse(name).unwrap();
            let identity = Identity { who, groups: BTreeSet::new(), platform_admin: false };
            membership.principal(&identity).role_in(&Scope::Namespace(shop.clone()))
        };
        assert_eq!(role("user:ann"), Some(Role::Owner));
        assert_eq!(role("user:bob"), Some(Role::Viewer));
    }
}
