//! Which machine it was, what it took away, and what the generator itself used.
//!
//! A number is believed by what is printed beside it: processor, cores allowed, kernel,
//! virtualisation, cgroup, load ([`Machine`]); the part of the time that the host took
//! ([`Steal`]); the generator's own CPU ([`own_cpu`]).
//!
//! Not here: what the sides used (`probe`), whether a block counts (`tandem-judge`).

mod machine;
pub mod own_cpu;
pub mod pin;
pub mod priority;
mod steal;

pub use self::machine::Machine;
pub use self::steal::Steal;
