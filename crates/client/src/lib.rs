//! Typed API calls, over HTTP or straight into a router in memory.
