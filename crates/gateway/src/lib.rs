//! The request path and its side path.
//!
//! Modules stand in the order in which a call meets them. [`Gateway::start`] is the way in: it
//! opens the listeners, starts the data threads, asks the upstreams for their contracts and gives
//! back a handle by which it is looked at and stopped.

// The world: the only places that open sockets and start tasks.
pub mod net;
mod alarm;
mod outbox;
pub mod tasks;

// What a call is made of.
pub mod body;
pub mod call;
mod date;
pub mod limits;

// A connection comes in and finds its data thread …
pub mod listen;
mod thread;
// … a call is carried by the spine …
mod path;
// … on the tables of one snapshot …
pub mod snapshot;
// … may it go, and until when …
mod policy;
// … answered from what is kept …
mod cache;
// … drawn for its primary or its candidate …
mod route;
// … sent to its upstream, or answered by the gateway itself …
pub mod upstream;
mod own;
// … copied to the method's candidate behind the caller's back …
mod mirror;
// … and written down.
pub mod observe;

// Off the path: contracts fetched, snapshots swapped, the whole started and stopped.
mod gateway;
mod reconcile;

pub use self::cache::{CacheFigures, CacheUse, Purged};
pub use self::gateway::{Gateway, NamespaceStatus, Plan, StartError, Stopped, View};
pub use self::listen::Listener;
pub use self::mirror::view::{Lane, Lanes, MethodPairs};
pub use self::observe::{CostWindow, UpstreamCost};
pub use self::own::board::{
    Declare, Declared, DeclaredSettings, ServiceInstances, SettingsRefused, settings_of_documents,
};
pub use self::own::instances::{INSTANCES_MOST, Instance, InstanceState, Values};
pub use self::policy::auth::{ApiKey, ApiKeys, IssuerStatus, KeyTiming};
pub use self::reconcile::{AdmitContracts, Held, HeldBack, KeepContracts, NotTaken};
pub use self::route::CandidateShare;
