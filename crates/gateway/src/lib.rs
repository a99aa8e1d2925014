//! The request path and its side path.
