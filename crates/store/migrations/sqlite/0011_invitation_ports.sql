-- Further ports that an invitation opens; the first stands on the invitation itself. Each port counts its own uses.
CREATE TABLE invitation_ports (
    invitation_uuid TEXT NOT NULL REFERENCES invitations (uuid) ON DELETE CASCADE,
    port BIGINT NOT NULL CHECK (port BETWEEN 1 AND 65535),
    n_used BIGINT NOT NULL,
    PRIMARY KEY (invitation_uuid, port)
);
