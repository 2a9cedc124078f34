-- Whoever follows the changes of other processes listens on this channel, and is told with the commit.
CREATE FUNCTION wharf_ring() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('wharf_changes', '');
    RETURN NULL;
END $$;
CREATE TRIGGER changes_ring AFTER INSERT ON changes FOR EACH STATEMENT EXECUTE FUNCTION wharf_ring();
