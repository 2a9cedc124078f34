-- What is known of how running containers are used, and how they come to their end. Beside the containers, since it
-- changes often and is no attribute of theirs: no log entry, no new modified_at, no decision asked anew.
CREATE TABLE container_lives (
    container_uuid TEXT NOT NULL PRIMARY KEY REFERENCES containers (uuid) ON DELETE CASCADE,
    -- When somebody or its own work last used it.
    used_at TEXT,
    -- It is not ended for want of use before this.
    kept_until TEXT,
    -- When its end was told.
    warned_at TEXT,
    -- Why it is being ended, in words; empty while it is not.
    ending TEXT NOT NULL DEFAULT ''
);
