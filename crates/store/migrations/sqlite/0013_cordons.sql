-- Machines that take no new containers, as an administrator said.
CREATE TABLE cordons (
    node TEXT NOT NULL PRIMARY KEY,
    since TEXT NOT NULL,
    by_user_uuid TEXT NOT NULL
);
