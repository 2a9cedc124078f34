//! One multiplexed connection per supervisor, with typed streams.
