-- Timestamps are fixed-width RFC 3339 text (nine fraction digits, Z): the text sorts as the time
-- does, and what a client reads back in a filter equals what is stored. JSON is kept as text.

CREATE TABLE users (
    uuid TEXT NOT NULL PRIMARY KEY,
    owner_uuid TEXT NOT NULL,
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by_user_uuid TEXT NOT NULL,
    email TEXT NOT NULL,
    username TEXT NOT NULL CHECK (username <> ''),
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    identity_url TEXT,
    is_active BOOLEAN NOT NULL,
    is_admin BOOLEAN NOT NULL,
    prefs TEXT NOT NULL
);
CREATE UNIQUE INDEX users_username ON users (username);

CREATE TABLE api_client_authorizations (
    uuid TEXT NOT NULL PRIMARY KEY,
    owner_uuid TEXT NOT NULL REFERENCES users (uuid),
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by_user_uuid TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires_at TEXT,
    -- SHA-256 of the secret, hexadecimal; the secret itself is nowhere.
    secret_hash TEXT NOT NULL
);
CREATE UNIQUE INDEX api_client_authorizations_secret ON api_client_authorizations (secret_hash);
CREATE INDEX api_client_authorizations_owner ON api_client_authorizations (owner_uuid);

CREATE TABLE containers (
    uuid TEXT NOT NULL PRIMARY KEY,
    owner_uuid TEXT NOT NULL,
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by_user_uuid TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('Queued', 'Locked', 'Running', 'Complete', 'Cancelled')),
    command TEXT NOT NULL,
    container_image TEXT NOT NULL,
    cwd TEXT NOT NULL,
    environment TEXT NOT NULL,
    exit_code BIGINT,
    started_at TEXT,
    finished_at TEXT,
    locked_by_uuid TEXT,
    lock_count BIGINT NOT NULL,
    log TEXT,
    output TEXT,
    mounts TEXT NOT NULL,
    output_path TEXT NOT NULL,
    output_glob TEXT NOT NULL,
    priority BIGINT NOT NULL CHECK (priority >= 0),
    progress DOUBLE PRECISION,
    runtime_constraints TEXT NOT NULL,
    runtime_status TEXT NOT NULL,
    scheduling_parameters TEXT NOT NULL,
    auth_uuid TEXT,
    runtime_user_uuid TEXT,
    runtime_auth_scopes TEXT NOT NULL,
    gateway_address TEXT,
    interactive_session_started BOOLEAN NOT NULL,
    output_storage_classes TEXT NOT NULL,
    output_properties TEXT NOT NULL,
    cost DOUBLE PRECISION NOT NULL,
    subrequests_cost DOUBLE PRECISION NOT NULL,
    service BOOLEAN NOT NULL,
    published_ports TEXT NOT NULL,
    -- Why it waits, in the dispatcher's words; not an attribute.
    scheduling_status TEXT NOT NULL DEFAULT '',
    CHECK (state NOT IN ('Complete', 'Cancelled') OR finished_at IS NOT NULL),
    CHECK (state <> 'Running' OR started_at IS NOT NULL),
    CHECK (state = 'Complete' OR exit_code IS NULL)
);
CREATE INDEX containers_queue ON containers (state, priority);
CREATE INDEX containers_modified ON containers (modified_at, uuid);

CREATE TABLE container_requests (
    uuid TEXT NOT NULL PRIMARY KEY,
    owner_uuid TEXT NOT NULL,
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by_user_uuid TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    properties TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('Uncommitted', 'Committed', 'Final')),
    requesting_container_uuid TEXT,
    container_uuid TEXT REFERENCES containers (uuid),
    container_count BIGINT NOT NULL,
    container_count_max BIGINT NOT NULL,
    mounts TEXT NOT NULL,
    runtime_constraints TEXT NOT NULL,
    scheduling_parameters TEXT NOT NULL,
    container_image TEXT NOT NULL,
    environment TEXT NOT NULL,
    cwd TEXT NOT NULL,
    command TEXT NOT NULL,
    output_path TEXT NOT NULL,
    output_glob TEXT NOT NULL,
    output_name TEXT,
    output_ttl BIGINT NOT NULL CHECK (output_ttl >= 0),
    priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 1000),
    use_existing BOOLEAN NOT NULL,
    log_uuid TEXT,
    output_uuid TEXT,
    expires_at TEXT,
    filters TEXT,
    output_storage_classes TEXT NOT NULL,
    output_properties TEXT NOT NULL,
    cumulative_cost DOUBLE PRECISION NOT NULL,
    service BOOLEAN NOT NULL,
    published_ports TEXT NOT NULL,
    -- Never answered; emptied when the request becomes Final.
    secret_mounts TEXT NOT NULL DEFAULT '{}',
    -- Who moved it to Committed: decides who may open the service. Not an attribute.
    submitted_by_uuid TEXT,
    CHECK (state <> 'Committed' OR (container_uuid IS NOT NULL AND submitted_by_uuid IS NOT NULL)),
    CHECK (NOT (service AND use_existing))
);
CREATE INDEX container_requests_container ON container_requests (container_uuid);
CREATE INDEX container_requests_owner ON container_requests (owner_uuid, modified_at, uuid);
CREATE INDEX container_requests_modified ON container_requests (modified_at, uuid);
CREATE INDEX container_requests_created ON container_requests (created_at, uuid);

CREATE TABLE links (
    uuid TEXT NOT NULL PRIMARY KEY,
    owner_uuid TEXT NOT NULL,
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by_user_uuid TEXT NOT NULL,
    link_class TEXT NOT NULL,
    name TEXT NOT NULL,
    tail_uuid TEXT,
    head_uuid TEXT,
    properties TEXT NOT NULL,
    CHECK (link_class NOT IN ('hostname', 'published_port')
        OR (head_uuid IS NOT NULL AND name = lower(name) AND length(name) BETWEEN 1 AND 63))
);
-- One name space for both words: a host name exists once, whoever asks first.
CREATE UNIQUE INDEX links_hostname ON links (name)
    WHERE link_class IN ('hostname', 'published_port');
CREATE INDEX links_head ON links (head_uuid);
CREATE INDEX links_owner ON links (owner_uuid, modified_at, uuid);

-- Names that were given up, and by whom: nobody else may take them for the tombstone period.
CREATE TABLE released_names (
    name TEXT NOT NULL PRIMARY KEY,
    owner_uuid TEXT NOT NULL,
    released_at TEXT NOT NULL
);

-- Single-use codes for hand-off and sign-in: redeeming deletes the row.
CREATE TABLE one_time_codes (
    hash TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('handoff', 'login')),
    user_uuid TEXT NOT NULL,
    token_uuid TEXT NOT NULL,
    container_uuid TEXT,
    request_uuid TEXT,
    port BIGINT,
    service_host TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE INDEX one_time_codes_expiry ON one_time_codes (expires_at);

-- Ports of the controller's host, on sites without a wildcard name.
CREATE TABLE external_ports (
    port BIGINT NOT NULL PRIMARY KEY CHECK (port BETWEEN 1 AND 65535),
    container_uuid TEXT NOT NULL REFERENCES containers (uuid),
    container_port BIGINT NOT NULL CHECK (container_port BETWEEN 1 AND 65535)
);
CREATE UNIQUE INDEX external_ports_container ON external_ports (container_uuid, container_port);
