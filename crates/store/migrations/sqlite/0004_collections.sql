-- Named trees of files. The manifest is kept without permission hints.
CREATE TABLE collections (
    uuid TEXT NOT NULL PRIMARY KEY,
    owner_uuid TEXT NOT NULL,
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by_user_uuid TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    properties TEXT NOT NULL,
    portable_data_hash TEXT NOT NULL,
    manifest_text TEXT NOT NULL,
    replication_desired BIGINT,
    replication_confirmed BIGINT,
    replication_confirmed_at TEXT,
    storage_classes_desired TEXT NOT NULL,
    storage_classes_confirmed TEXT NOT NULL,
    storage_classes_confirmed_at TEXT,
    trash_at TEXT,
    delete_at TEXT,
    -- Set when trash_at has come: by whoever writes first, or the sweep.
    is_trashed BOOLEAN NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    -- Itself for a current one; an old version has an identifier of its own.
    current_version_uuid TEXT NOT NULL,
    preserve_version BOOLEAN NOT NULL,
    file_count BIGINT NOT NULL CHECK (file_count >= 0),
    file_size_total BIGINT NOT NULL CHECK (file_size_total >= 0),
    CHECK (name NOT IN ('.', '..') AND instr(name, '/') = 0),
    CHECK (delete_at IS NULL OR (trash_at IS NOT NULL AND delete_at >= trash_at)),
    CHECK (NOT is_trashed OR trash_at IS NOT NULL)
);
-- A name exists once for each owner, among what is there and current; no name is no name.
CREATE UNIQUE INDEX collections_name ON collections (owner_uuid, name)
    WHERE name <> '' AND NOT is_trashed AND current_version_uuid = uuid;
CREATE INDEX collections_content ON collections (portable_data_hash);
CREATE INDEX collections_owner ON collections (owner_uuid, modified_at, uuid);
CREATE INDEX collections_modified ON collections (modified_at, uuid);
CREATE INDEX collections_created ON collections (created_at, uuid);
CREATE INDEX collections_versions ON collections (current_version_uuid);
CREATE INDEX collections_trash ON collections (trash_at) WHERE trash_at IS NOT NULL;
CREATE INDEX collections_delete ON collections (delete_at) WHERE delete_at IS NOT NULL;

-- Blocks that a collection had until it changed or was deleted: whoever read it shortly before has permission to
-- use them for a while, so they are not garbage yet. Locators with spaces between them.
CREATE TABLE released_blocks (
    id INTEGER NOT NULL PRIMARY KEY,
    locators TEXT NOT NULL,
    released_at TEXT NOT NULL
);
CREATE INDEX released_blocks_time ON released_blocks (released_at);
