//! What a service promises: descriptors and HTTP rules.
