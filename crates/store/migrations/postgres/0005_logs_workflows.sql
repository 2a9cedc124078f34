-- Which records a transaction touches and how they were before it: noted by triggers, taken before the commit. Never
-- seen from outside, and not worth the write-ahead log. By transaction first, so that the rows of the ones before,
-- which wait for the vacuum, are not met.
CREATE UNLOGGED TABLE touched_records (
    tx XID8 NOT NULL DEFAULT pg_current_xact_id(),
    place BIGINT GENERATED ALWAYS AS IDENTITY,
    uuid TEXT COLLATE "C" NOT NULL,
    record_table TEXT COLLATE "C" NOT NULL,
    before TEXT COLLATE "C",
    PRIMARY KEY (tx, uuid)
);
