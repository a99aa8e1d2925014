//! REST and gRPC into one neutral call and answer.
