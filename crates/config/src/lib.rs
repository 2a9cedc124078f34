//! The resolved configuration of every role, from file, flags and environment.
