//! The Arvados v1 API and what Wharf adds beside it.
