//! Who comes to the admin listener, and what he may.
//!
//! A token names an identity; its roles come from three places: `members` of the platform's
//! document, members that owners added, and fields that a team's document opens. They are put
//! together anew whenever one of them changes, so a right that was taken away is gone with the
//! next request.
//!
//! The first token, in the data folder, is the operator's: a platform administrator and the owner
//! of every namespace. Whoever reads that file reads the store and its key as well, so less would
//! be a right on paper only (docs/decisions/0009).
//!
//! Not here: what a role may do (`tandem_config::access`), how a credential comes
//! (`crate::admin::guard`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError, RwLock};

use subtle::ConstantTimeEq as _;
use tandem_config::access::issued::Issued;
use tandem_config::access::{Identity, Membership, Principal, Role, Who};
use tandem_config::audit::Timestamp;
use tandem_config::store::{Digest, NamespaceName};

use crate::token::Expected;

/// The name of the operator's token.
const OPERATOR: &str = "token:operator";

/// Everybody who may come.
pub(crate) struct People {
    operator: Expected,
    known: RwLock<Known>,
    /// When a token was used last, by its id; since this process began.
    used: Mutex<BTreeMap<String, Timestamp>>,
}

#[derive(Default)]
struct Known {
    tokens: BTreeMap<String, Issued>,
    membership: Membership,
}

/// Who a credential belongs to, and until when it is good.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) identity: Identity,
    /// `None`: the operator's, which does not expire.
    pub(crate) token: Option<String>,
    pub(crate) expires: Option<Timestamp>,
    /// What the token may beside its roles: `metrics`.
    pub(crate) scopes: Vec<String>,
}

impl People {
    /// Nobody but the operator, who has no namespace yet.
    pub(crate) fn new(operator: Expected) -> People {
        People { operator, known: RwLock::default(), used: Mutex::default() }
    }

    /// Takes in what the documents and the store say now.
    pub(crate) fn replace(
        &self,
        tokens: BTreeMap<String, Issued>,
        mut membership: Membership,
        namespaces: &BTreeSet<NamespaceName>,
    ) {
        let operator = operator();
        for namespace in namespaces {
            membership.grant(namespace, &operator, Role::Owner);
        }
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|id, _| tokens.contains_key(id));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known { tokens, membership };
    }

    /// Whose `presented` is; `None` for anything that opens nothing at `now`.
    pub(crate) fn who(&self, presented: &str, now: Timestamp) -> Option<Visitor> {
        if self.operator.is(presented) {
            return Some(Visitor::operator());
        }
        let (prefix, rest) = presented.split_once('_')?;
        let (id, _) = rest.split_once('_')?;
        if prefix != "tnd" {
            return None;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let issued = known.tokens.get(id)?;
        let right: bool =
            issued.digest.as_bytes().ct_eq(Digest::of(presented.as_bytes()).as_bytes()).into();
        (right && now < issued.expires).then(|| self.seen(id, issued, now)).flatten()
    }

    /// Who a session belongs to, as long as the token that began it is good.
    pub(crate) fn again(&self, token: Option<&str>, now: Timestamp) -> Option<Visitor> {
        let Some(id) = token else { return Some(Visitor::operator()) };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let issued = known.tokens.get(id).filter(|issued| now < issued.expires)?;
        self.seen(id, issued, now)
    }

    fn seen(&self, id: &str, issued: &Issued, now: Timestamp) -> Option<Visitor> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(id.to_owned(), now);
        Some(Visitor {
            identity: Identity {
                who: Who::parse(&format!("token:{}", issued.name))?,
                groups: BTreeSet::new(),
                platform_admin: issued.platform_admin,
            },
            token: Some(id.to_owned()),
            expires: Some(issued.expires),
            scopes: issued.scopes.clone(),
        })
    }

    /// When the token `id` was used last.
    pub(crate) fn used(&self, id: &str) -> Option<Timestamp> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    /// The identity with all its rights at this moment.
    pub(crate) fn principal(&self, identity: &Identity) -> Principal {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.membership.principal(identity)
    }
}

impl Visitor {
    fn operator() -> Visitor {
        let identity = Identity { who: operator(), groups: BTreeSet::new(), platform_admin: true };
        Visitor { identity, token: None, expires: None, scopes: Vec::new() }
    }
}

fn operator() -> Who {
    Who::parse(OPERATOR).expect("a token with a name")
}
