-- Lists over millions of requests, each read in the order that it is answered in. Behind an owner the order goes on,
-- since a user sees many owners and the newest few of each are enough.
CREATE INDEX container_requests_owner_created ON container_requests (owner_uuid, created_at, uuid);
CREATE INDEX container_requests_owner_requesting
    ON container_requests (owner_uuid, requesting_container_uuid, created_at, uuid);
-- Wider than looking up a name needs: or the planner would take it for any list of an owner, as the smallest.
CREATE INDEX container_requests_owner_name ON container_requests (owner_uuid, name, modified_at, uuid);
CREATE INDEX container_requests_name ON container_requests (name);
-- Runs of their own, to be counted. By the time first: or the planner would take them for few, and look them up one by one.
CREATE INDEX container_requests_top ON container_requests (created_at, requesting_container_uuid)
    WHERE requesting_container_uuid IS NULL;
-- None of Final ones, which are nearly all: the planner would take them for few.
CREATE INDEX container_requests_drafts ON container_requests (state, modified_at, uuid) WHERE state = 'Uncommitted';
CREATE INDEX container_requests_committed ON container_requests (state, modified_at, uuid) WHERE state = 'Committed';
-- Made again to be the newest: among indexes that serve a list of owners equally, SQLite takes that one, and this has the
-- order that lists have where none is asked for.
DROP INDEX container_requests_owner;
CREATE INDEX container_requests_owner ON container_requests (owner_uuid, modified_at, uuid);
