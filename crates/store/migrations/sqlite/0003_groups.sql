-- Projects, roles and filter groups. Who may see what follows from owner_uuid and from links of class permission.

CREATE TABLE groups (
    uuid TEXT NOT NULL PRIMARY KEY,
    owner_uuid TEXT NOT NULL CHECK (owner_uuid <> uuid),
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by_user_uuid TEXT NOT NULL,
    name TEXT NOT NULL CHECK (name <> ''),
    group_class TEXT NOT NULL CHECK (group_class IN ('project', 'role', 'filter')),
    description TEXT,
    properties TEXT NOT NULL,
    trash_at TEXT,
    delete_at TEXT,
    is_trashed BOOLEAN NOT NULL,
    frozen_by_uuid TEXT,
    CHECK (NOT is_trashed OR trash_at IS NOT NULL),
    CHECK (group_class <> 'role' OR trash_at IS NULL),
    CHECK (group_class = 'project' OR frozen_by_uuid IS NULL)
);
-- A name is one among the groups of an owner that are in sight.
CREATE UNIQUE INDEX groups_name ON groups (owner_uuid, name) WHERE NOT is_trashed;
CREATE INDEX groups_owner ON groups (owner_uuid, modified_at, uuid);
CREATE INDEX groups_modified ON groups (modified_at, uuid);
CREATE INDEX groups_created ON groups (created_at, uuid);
-- Few are trashed, frozen or roles; every list asks which.
CREATE INDEX groups_trash ON groups (trash_at) WHERE trash_at IS NOT NULL;
CREATE INDEX groups_roles ON groups (uuid) WHERE group_class = 'role';
CREATE INDEX groups_frozen ON groups (uuid) WHERE frozen_by_uuid IS NOT NULL;

-- Permission links, from who holds a right to what it is about. The other direction is links_head.
CREATE INDEX links_permission ON links (tail_uuid, name, head_uuid, uuid) WHERE link_class = 'permission';
CREATE INDEX links_tail ON links (tail_uuid);
-- How clients look for tags and images.
CREATE INDEX links_name ON links (name, link_class);
