//! What teams and the platform write: read, checked, explained.
