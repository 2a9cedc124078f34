-- The token that a container's program gets instead of one of its own. Never answered; emptied when the request
-- becomes Final.
ALTER TABLE container_requests ADD COLUMN runtime_token TEXT;
-- SHA-256 of the secret mounts in hexadecimal, so that equal ones are known when they themselves are gone. Empty: none.
ALTER TABLE containers ADD COLUMN secret_mounts_digest TEXT NOT NULL DEFAULT '';
CREATE INDEX containers_auth ON containers (auth_uuid) WHERE auth_uuid IS NOT NULL;
CREATE INDEX container_requests_requesting ON container_requests (requesting_container_uuid)
    WHERE requesting_container_uuid IS NOT NULL;
