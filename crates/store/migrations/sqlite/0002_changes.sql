-- What was changed, by whom, in the order of commits: how processes on one database hear of each other's
-- changes. `seq` has no gaps, since the newest row is never deleted and SQLite has one writer.
CREATE TABLE changes (
    seq INTEGER NOT NULL PRIMARY KEY,
    -- A random number for each process that writes, so that it can tell its own rows.
    origin BIGINT NOT NULL,
    kind TEXT NOT NULL,
    uuid TEXT NOT NULL,
    -- The users who may know of it: a JSON list.
    owners TEXT NOT NULL
);
