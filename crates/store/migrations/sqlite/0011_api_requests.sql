-- What programs asked for that changes something, so that it is done once however often it is asked: the mark is made in the transaction of the
-- change itself, the answer (encrypted, since it may hold a code) is put beside it afterwards. All of it is forgotten after a day.
CREATE TABLE api_requests (
    key_id       TEXT    NOT NULL REFERENCES api_keys (id),
    token        TEXT    NOT NULL,
    request_hash BLOB    NOT NULL CHECK (length(request_hash) = 32),
    attempt      BLOB    NOT NULL CHECK (length(attempt) = 32),
    created_at   INTEGER NOT NULL,
    status       INTEGER,
    answer       BLOB,
    PRIMARY KEY (key_id, token),
    CHECK ((status IS NULL) = (answer IS NULL))
) STRICT;

CREATE INDEX api_requests_by_time ON api_requests (created_at);
