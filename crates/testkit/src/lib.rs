//! Backends, gateways and clients for tests.
