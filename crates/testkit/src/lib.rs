//! A whole Wharf for tests, on a port of its own.
