-- What happened to records, in the order of commits: one row for each change of each record, written in the
-- transaction that makes the change. `id` rises and is never given twice, since the newest row is never deleted.
CREATE TABLE logs (
    id INTEGER NOT NULL PRIMARY KEY,
    uuid TEXT NOT NULL,
    owner_uuid TEXT NOT NULL,
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by_user_uuid TEXT NOT NULL,
    object_uuid TEXT,
    object_owner_uuid TEXT,
    event_type TEXT NOT NULL,
    event_at TEXT NOT NULL,
    summary TEXT,
    properties TEXT NOT NULL
);
CREATE UNIQUE INDEX logs_uuid ON logs (uuid);
CREATE INDEX logs_object ON logs (object_uuid, id);
CREATE INDEX logs_created ON logs (created_at, uuid);
CREATE INDEX logs_modified ON logs (modified_at, uuid);

CREATE TABLE workflows (
    uuid TEXT NOT NULL PRIMARY KEY,
    owner_uuid TEXT NOT NULL,
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by_user_uuid TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    definition TEXT,
    collection_uuid TEXT
);
CREATE INDEX workflows_owner ON workflows (owner_uuid, modified_at, uuid);
CREATE INDEX workflows_modified ON workflows (modified_at, uuid);

-- Passwords of users who sign in with one, as hashes in the PHC form (algorithm, parameters, salt, hash).
-- Apart from the users, so that no record ever carries one.
CREATE TABLE user_passwords (
    user_uuid TEXT NOT NULL PRIMARY KEY REFERENCES users (uuid) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    modified_at TEXT NOT NULL
);
