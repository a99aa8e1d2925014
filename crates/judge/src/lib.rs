//! Pairs of answers into differences, costs and a verdict.
