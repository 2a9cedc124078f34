-- How clients look for what they have marked: one property that equals something. JSON is kept as text, which
-- PostgreSQL reads as its own form here.
CREATE INDEX container_requests_properties ON container_requests USING gin ((properties::jsonb) jsonb_path_ops);
CREATE INDEX collections_properties ON collections USING gin ((properties::jsonb) jsonb_path_ops);
CREATE INDEX groups_properties ON groups USING gin ((properties::jsonb) jsonb_path_ops);
CREATE INDEX links_properties ON links USING gin ((properties::jsonb) jsonb_path_ops);
