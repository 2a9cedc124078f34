-- Links that open ports of services: one for each request, holder and port, whoever makes them.
CREATE UNIQUE INDEX links_service_access ON links (head_uuid, tail_uuid, name) WHERE link_class = 'service_access';
CREATE INDEX links_service_access_tail ON links (tail_uuid, head_uuid) WHERE link_class = 'service_access';

-- Invitations to one port of a request; of the secret only a hash is kept.
CREATE TABLE invitations (
    uuid TEXT NOT NULL PRIMARY KEY,
    request_uuid TEXT NOT NULL REFERENCES container_requests (uuid) ON DELETE CASCADE,
    port BIGINT NOT NULL CHECK (port BETWEEN 1 AND 65535),
    made_by TEXT NOT NULL REFERENCES users (uuid) ON DELETE CASCADE,
    secret_hash TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    uses_max BIGINT NOT NULL,
    n_used BIGINT NOT NULL CHECK (n_used <= uses_max)
);
CREATE UNIQUE INDEX invitations_secret ON invitations (secret_hash);
CREATE INDEX invitations_request ON invitations (request_uuid);

-- Who came in by one; the session ends with the row.
CREATE TABLE guest_sessions (
    uuid TEXT NOT NULL PRIMARY KEY,
    invitation_uuid TEXT NOT NULL REFERENCES invitations (uuid) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX guest_sessions_invitation ON guest_sessions (invitation_uuid);
