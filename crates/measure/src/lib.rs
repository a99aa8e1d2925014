//! Load at an offered rate, and what has to be read beside it so that a number can be believed.
//!
//! `load` sends calls by a schedule that was fixed before, whatever the answers do; `histogram`
//! keeps their times; `data` makes the messages from a contract, `records` has those of files; `hiccup` looks for pauses from
//! outside; `probe` reads what an implementation uses, `environment` says which machine it was and
//! what it took away.
//!
//! This crate reads clocks, files of the kernel and the answers of whatever [`load::Sender`]
//! reaches. What the readings mean is said by `tandem-judge`, whose types they fill.

pub mod data;
pub mod environment;
pub mod hiccup;
pub mod histogram;
pub mod load;
pub mod probe;
pub mod records;
pub mod rubric;
