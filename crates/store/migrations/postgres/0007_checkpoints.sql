-- Checkpoints of the operation log: signed statements about where its chain stood, and the public keys that they are checked with. Neither is
-- ever changed or removed.
CREATE TABLE log_keys (
    number   bigint PRIMARY KEY CHECK (number > 0),
    spki     bytea  NOT NULL UNIQUE,
    added_at bigint NOT NULL
);

CREATE TABLE checkpoints (
    number   bigint PRIMARY KEY CHECK (number > 0),
    kind     text   NOT NULL COLLATE "C",
    sequence bigint NOT NULL,
    hash     bytea  NOT NULL CHECK (octet_length(hash) = 32),
    at       bigint NOT NULL,
    line     text   NOT NULL COLLATE "C"
);

CREATE FUNCTION checkpoints_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of the operation log are not %', TG_ARGV[0], TG_ARGV[1];
END;
$$;

CREATE FUNCTION checkpoints_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM checkpoints) THEN
        RAISE EXCEPTION 'checkpoints of the operation log have no gaps';
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER checkpoints_are_not_changed BEFORE UPDATE ON checkpoints FOR EACH ROW EXECUTE FUNCTION checkpoints_refuse('checkpoints', 'changed');
CREATE TRIGGER checkpoints_are_not_removed BEFORE DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION checkpoints_refuse('checkpoints', 'removed');
CREATE TRIGGER checkpoints_are_not_emptied BEFORE TRUNCATE ON checkpoints FOR EACH STATEMENT EXECUTE FUNCTION checkpoints_refuse('checkpoints', 'removed');
CREATE TRIGGER checkpoints_have_no_gaps BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION checkpoints_follow();
CREATE TRIGGER log_keys_are_not_changed BEFORE UPDATE ON log_keys FOR EACH ROW EXECUTE FUNCTION checkpoints_refuse('keys', 'changed');
CREATE TRIGGER log_keys_are_not_removed BEFORE DELETE ON log_keys FOR EACH ROW EXECUTE FUNCTION checkpoints_refuse('keys', 'removed');
CREATE TRIGGER log_keys_are_not_emptied BEFORE TRUNCATE ON log_keys FOR EACH STATEMENT EXECUTE FUNCTION checkpoints_refuse('keys', 'removed');

-- A customer's part of the log.
CREATE INDEX audit_by_customer ON audit (customer_id, sequence);
