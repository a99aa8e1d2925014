//! JSON text and protobuf bytes, one into the other.
