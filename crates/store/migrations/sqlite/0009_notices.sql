-- Whom a customer wants to be told.
CREATE TABLE contacts (
    id          INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    address     TEXT    NOT NULL,
    label       TEXT    NOT NULL,
    language    TEXT    NOT NULL CHECK (language IN ('ja', 'en')),
    created_at  INTEGER NOT NULL,
    UNIQUE (customer_id, address)
) STRICT;

-- The step that was said last about a terminal, and of which certificate. `channel` is the way it was said.
CREATE TABLE reminders (
    terminal_id    BLOB    NOT NULL,
    customer_id    INTEGER NOT NULL,
    channel        TEXT    NOT NULL,
    certificate_id INTEGER NOT NULL REFERENCES certificates (id),
    step           INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    PRIMARY KEY (terminal_id, channel),
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id)
) STRICT;

CREATE INDEX reminders_by_customer ON reminders (customer_id, channel);

-- One digest for each customer and day: of two nodes that write it at once, one finds it written.
CREATE TABLE digests (
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    channel     TEXT    NOT NULL,
    day         TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (customer_id, channel, day)
) STRICT;

-- What is to leave this house, written in the transaction of what it tells about. Who delivers it takes it first: that moves `next_at` ahead, so
-- that it is somebody else's again when the one who took it has died. `key` stays the same for every try.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY,
    kind         TEXT    NOT NULL,
    topic        TEXT    NOT NULL,
    key          TEXT    NOT NULL UNIQUE,
    customer_id  INTEGER REFERENCES customers (id),
    recipient    TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    calendar     TEXT,
    created_at   INTEGER NOT NULL,
    next_at      INTEGER NOT NULL,
    tries        INTEGER NOT NULL DEFAULT 0,
    delivered_at INTEGER,
    given_up_at  INTEGER,
    last_error   TEXT,
    CHECK (delivered_at IS NULL OR given_up_at IS NULL)
) STRICT;

CREATE INDEX outbox_waiting ON outbox (next_at, id) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX outbox_by_customer ON outbox (customer_id, id);
CREATE INDEX outbox_by_age ON outbox (created_at);
