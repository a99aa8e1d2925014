//! The table of what can be done, and the one function that says who may.
//!
//! Not here: roles of a person (`principal`).

use std::fmt;

use super::principal::{Principal, Role};
use crate::problem::Tnd;
use crate::store::Scope;

/// What an action touches: whose, of which sort, called what. Never a path and never text of a
/// request (security T-2, T-7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    pub scope: Scope,
    pub kind: ObjectKind,
    /// Empty where a scope has one of the kind.
    pub name: String,
}

impl ObjectId {
    /// Something of which a scope has one.
    pub fn only(kind: ObjectKind, scope: &Scope) -> ObjectId {
        ObjectId { scope: scope.clone(), kind, name: String::new() }
    }

    /// Something with a name.
    pub fn named(kind: ObjectKind, scope: &Scope, name: impl Into<String>) -> ObjectId {
        ObjectId { scope: scope.clone(), kind, name: name.into() }
    }
}

/// `document shop`, `secret shop/password`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ObjectId { scope, kind, name } = self;
        match name.as_str() {
            "" => write!(f, "{} {scope}", kind.as_str()),
            name => write!(f, "{} {scope}/{name}", kind.as_str()),
        }
    }
}

macro_rules! object_kinds {
    ($($name:ident $text:literal,)*) => {
        /// The sort of an object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ObjectKind { $(#[doc = $text] $name),* }

        impl ObjectKind {
            /// Every sort.
            pub const ALL: &[ObjectKind] = &[$(ObjectKind::$name),*];

            /// In words.
            pub fn as_str(self) -> &'static str {
                match self { $(ObjectKind::$name => $text),* }
            }
        }
    };
}

object_kinds! {
    Document "document",
    Draft "draft",
    SettingsField "settings field",
    Rollout "rollout",
    Verdict "verdict",
    Metrics "metrics",
    Sample "sample",
    Members "members",
    Key "key",
    Token "token",
    Secret "secret",
    Reference "reference",
    Audit "audit log",
    Grants "grants",
    Listener "listener",
    Store "store",
}

/// Who may do an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Members of the object's namespace, from this role on.
    From(Role),
    /// As [`Allowed::From`], and the gateway on its own.
    FromOrGateway(Role),
    /// As [`Allowed::From`], and those to whom this very field was opened (RB-10).
    FromOrField(Role),
    /// As [`Allowed::From`], and the platform's administrator (RB-5).
    FromOrPlatform(Role),
    /// The gateway on its own, and nobody else.
    Gateway,
    /// The platform's administrator alone; of what belongs to the platform.
    Platform,
    /// As [`Allowed::Platform`], and the gateway on its own.
    PlatformOrGateway,
}

macro_rules! actions {
    ($($name:ident $text:literal on $kind:ident: $allowed:expr;)*) => {
        /// Something that somebody wants to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $(#[doc = $text] $name),* }

        impl Action {
            /// Every action.
            pub const ALL: &[Action] = &[$(Action::$name),*];

            /// As it stands in the audit log.
            pub fn name(self) -> &'static str {
                match self { $(Action::$name => $text),* }
            }

            /// What it is done to.
            pub fn object_kind(self) -> ObjectKind {
                match self { $(Action::$name => ObjectKind::$kind),* }
            }

            /// Who may do it.
            pub fn allowed(self) -> Allowed {
                match self { $(Action::$name => $allowed),* }
            }

            /// The action of this name.
            pub fn named(name: &str) -> Option<Action> {
                Action::ALL.iter().copied().find(|action| action.name() == name)
            }
        }
    };
}

use Allowed::{
    From, FromOrField, FromOrGateway, FromOrPlatform, Gateway, Platform, PlatformOrGateway,
};
use Role::{Editor, Owner, Publisher, Viewer};

actions! {
    ReadDocument "read document" on Document: FromOrGateway(Viewer);
    ReadVerdict "read verdict" on Verdict: From(Viewer);
    ReadMetrics "read metrics" on Metrics: From(Viewer);
    ReadDraft "read draft" on Draft: From(Editor);
    WriteDraft "write draft" on Draft: From(Editor);
    Publish "publish" on Document: From(Publisher);
    Claim "claim" on Document: FromOrGateway(Publisher);
    PublishField "publish field" on SettingsField: FromOrField(Publisher);
    RollBack "roll back" on Document: FromOrGateway(Publisher);
    MoveRollout "move rollout" on Rollout: FromOrGateway(Publisher);
    AcceptNoise "accept noise" on Verdict: From(Publisher);
    ReadSample "read sample" on Sample: From(Publisher);
    PurgeCache "purge cache" on Document: From(Publisher);
    ReadMembers "read members" on Members: FromOrPlatform(Owner);
    WriteMembers "write members" on Members: From(Owner);
    ListKeys "list keys" on Key: From(Owner);
    WriteKey "write key" on Key: From(Owner);
    ListTokens "list tokens" on Token: Platform;
    WriteToken "write token" on Token: Platform;
    ListSecrets "list secrets" on Secret: From(Owner);
    WriteSecret "write secret" on Secret: From(Owner);
    UseSecret "use secret" on Secret: Gateway;
    GrantReference "grant reference" on Reference: From(Owner);
    ReadAudit "read audit" on Audit: FromOrPlatform(Owner);
    ReadGrants "read grants" on Grants: PlatformOrGateway;
    WriteGrants "write grants" on Grants: Platform;
    RollBackGrants "roll back grants" on Grants: Platform;
    WriteListener "write listener" on Listener: Platform;
    DumpStore "dump store" on Store: Platform;
    RestoreStore "restore store" on Store: Platform;
}

/// Who may not do what, and who might.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub principal: String,
    pub action: Action,
    pub object: ObjectId,
}

impl Refused {
    /// The code that people are shown.
    pub fn code(&self) -> Tnd {
        Tnd::NoRight
    }

    /// What would have to be so; for those who asked, so it names no person.
    pub fn why(&self) -> String {
        let scope = &self.object.scope;
        if self.action.object_kind() != self.object.kind {
            return format!(
                "`{}` is not done to a {}",
                self.action.name(),
                self.object.kind.as_str()
            );
        }
        match self.action.allowed() {
            From(role) | FromOrGateway(role) | FromOrField(role) | FromOrPlatform(role) => {
                format!("this needs the role {} in `{scope}`", role.name())
            }
            Gateway => "a secret can be replaced, and nobody can read it back".to_owned(),
            Platform | PlatformOrGateway => "this needs a platform administrator".to_owned(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { principal, action, object } = self;
        write!(f, "`{principal}` may not {} ({object}): {}", action.name(), self.why())
    }
}

impl std::error::Error for Refused {}

/// Whether `principal` may do `action` to `object` (security RB-6). No, unless the table says yes.
///
/// # Errors
/// [`Refused`], which says what would be needed.
pub fn authorise(principal: &Principal, action: Action, object: &ObjectId) -> Result<(), Refused> {
    let of_platform = object.scope == Scope::Platform;
    let role = principal.role_in(&object.scope);
    let from = |needed: Role| role.is_some_and(|role| role >= needed);
    let admin = principal.is_platform_admin();
    let gateway = principal.is_gateway();
    let allowed = match action.allowed() {
        From(needed) => from(needed),
        FromOrGateway(needed) => from(needed) || (gateway && !of_platform),
        FromOrField(needed) => from(needed) || principal.may_change_field(object),
        FromOrPlatform(needed) => from(needed) || admin,
        Gateway => gateway,
        Platform => of_platform && admin,
        PlatformOrGateway => of_platform && (admin || gateway),
    };
    // An action on a thing of another sort is a caller's mistake, and mistakes open nothing.
    if allowed && action.object_kind() == object.kind {
        return Ok(());
    }
    Err(Refused { principal: principal.name().to_owned(), action, object: object.clone() })
}

/// The objects that `principal` may see by `action`: the one filter of lists, searches and
/// exports (security T-7).
pub fn visible<'a>(
    principal: &'a Principal,
    action: Action,
    objects: impl IntoIterator<Item = ObjectId> + 'a,
) -> impl Iterator<Item = ObjectId> + 'a {
    objects.into_iter().filter(move |object| authorise(principal, action, object).is_ok())
}
