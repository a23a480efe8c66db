-- What programs asked for that changes something, so that it is done once however often it is asked: the mark is made in the transaction of the
-- change itself, the answer (encrypted, since it may hold a code) is put beside it afterwards. All of it is forgotten after a day.
CREATE TABLE api_requests (
    key_id       text   NOT NULL COLLATE "C" REFERENCES api_keys (id),
    token        text   NOT NULL COLLATE "C",
    request_hash bytea  NOT NULL CHECK (octet_length(request_hash) = 32),
    attempt      bytea  NOT NULL CHECK (octet_length(attempt) = 32),
    created_at   bigint NOT NULL,
    status       bigint,
    answer       bytea,
    PRIMARY KEY (key_id, token),
    CHECK ((status IS NULL) = (answer IS NULL))
);

CREATE INDEX api_requests_by_time ON api_requests (created_at);
