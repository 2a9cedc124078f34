-- How clients look for what they have marked: one property that equals something. JSON is kept as text, which
-- PostgreSQL reads as its own form here.
CREATE INDEX container_requests_properties ON container_requests USING gin ((properties::jsonb) jsonb_path_ops);
CREATE INDEX collections_properties ON collections USING gin ((properties::jsonb) jsonb_path_ops);
CREATE INDEX groups_properties ON groups USING gin ((properties::jsonb) jsonb_path_ops);
CREATE INDEX links_properties ON links USING gin ((properties::jsonb) jsonb_path_ops);

-- Which data directory the records are about: it has the blocks, the keys and the containers. At most one row.
CREATE TABLE data_directory (
    one BOOLEAN NOT NULL PRIMARY KEY DEFAULT TRUE CHECK (one),
    id TEXT COLLATE "C" NOT NULL,
    about TEXT COLLATE "C" NOT NULL
);
