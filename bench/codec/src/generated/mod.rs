//! Code that `./x bench codec --generate` has written, as it came.

#![allow(warnings, clippy::all, clippy::pedantic, reason = "not ours to tidy")]

pub(crate) mod buffa {
    include!("buffa/mod.rs");
    pub(crate) use tandem::bench::v1::Order;
}

pub(crate) mod pbjson {
    include!("pbjson/tandem.bench.v1.rs");
    include!("pbjson/tandem.bench.v1.serde.rs");
}
