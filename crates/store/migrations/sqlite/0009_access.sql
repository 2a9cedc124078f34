-- Links that open ports of services: one for each request, holder and port, whoever makes them.
CREATE UNIQUE INDEX links_service_access ON links (head_uuid, tail_uuid, name) WHERE link_class = 'service_access';
CREATE INDEX links_service_access_tail ON links (tail_uuid, head_uuid) WHERE link_class = 'service_access';
