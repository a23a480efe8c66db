-- Checkpoints of the operation log: signed statements about where its chain stood, and the public keys that they are checked with. Neither is
-- ever changed or removed.
CREATE TABLE log_keys (
    number   INTEGER PRIMARY KEY CHECK (number > 0),
    spki     BLOB    NOT NULL UNIQUE,
    added_at INTEGER NOT NULL
) STRICT;

CREATE TABLE checkpoints (
    number   INTEGER PRIMARY KEY CHECK (number > 0),
    kind     TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    at       INTEGER NOT NULL,
    line     TEXT    NOT NULL
) STRICT;

CREATE TRIGGER checkpoints_are_not_changed BEFORE UPDATE ON checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints of the operation log are not changed');
END;

CREATE TRIGGER checkpoints_are_not_removed BEFORE DELETE ON checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints of the operation log are not removed');
END;

CREATE TRIGGER checkpoints_have_no_gaps BEFORE INSERT ON checkpoints
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM checkpoints)
BEGIN
    SELECT RAISE(ABORT, 'checkpoints of the operation log have no gaps');
END;

CREATE TRIGGER log_keys_are_not_changed BEFORE UPDATE ON log_keys
BEGIN
    SELECT RAISE(ABORT, 'keys of the operation log are not changed');
END;

CREATE TRIGGER log_keys_are_not_removed BEFORE DELETE ON log_keys
BEGIN
    SELECT RAISE(ABORT, 'keys of the operation log are not removed');
END;

-- A customer's part of the log.
CREATE INDEX audit_by_customer ON audit (customer_id, sequence);
