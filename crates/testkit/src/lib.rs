//! Backends, gateways and clients for tests: what is set in a test matters to it, the rest are
//! defaults here.
//!
//! Only the tests of `gateway` and `tandem` use it. A helper that cannot do its work fails the
//! test, so there are no errors to handle. The programs that conformance suites drive lie under
//! `bin`; `./x conformance` builds and runs them.

mod acceptor;
pub mod backend;
pub mod client;
pub mod fault_proxy;
pub mod gateway;
pub mod issuer;
pub mod refuser;
pub mod tapped;
pub mod tls;

pub use self::backend::{Backend, End, Health, Manner, Script};
pub use self::fault_proxy::{FaultProxy, Faults};
pub use self::gateway::{Documents, Setup, TestGateway, gateway};
pub use self::issuer::Issuer;
pub use self::refuser::Refuser;
pub use self::tls::{Authority, TlsFront};
