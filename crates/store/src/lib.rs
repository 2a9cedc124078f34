//! Records in SQLite: migrations, queries, change events.
