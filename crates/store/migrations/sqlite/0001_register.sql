-- The register. Times are whole seconds of UTC, names of things are bytes, and every row that belongs to a customer says so.
-- The pair (terminal_id, customer_id) is a foreign key wherever it stands: a row can never name a terminal of another customer.

CREATE TABLE issuers (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    der        BLOB    NOT NULL UNIQUE,
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE customers (
    id         INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 99999999),
    code       TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    customer_id   INTEGER NOT NULL REFERENCES customers (id),
    name          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    UNIQUE (customer_id, name),
    UNIQUE (id, customer_id)
) STRICT;

CREATE INDEX users_by_name ON users (name);

CREATE TABLE terminals (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    customer_id   INTEGER NOT NULL REFERENCES customers (id),
    client_number INTEGER NOT NULL CHECK (client_number BETWEEN 1 AND 9999),
    name          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    retired_at    INTEGER,
    deferred_on   TEXT,
    UNIQUE (customer_id, client_number),
    UNIQUE (id, customer_id)
) STRICT;

-- `superseded` repeats what the rows of the same terminal say (another certificate of it, used and not revoked, ends later), so that
-- the gate's snapshot is read from an index instead of comparing all certificates with each other.
CREATE TABLE certificates (
    id                INTEGER PRIMARY KEY,
    fingerprint       BLOB    NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    issuer_id         INTEGER NOT NULL REFERENCES issuers (id),
    serial            BLOB    NOT NULL CHECK (length(serial) = 16),
    terminal_id       BLOB    NOT NULL,
    customer_id       INTEGER NOT NULL,
    profile           TEXT    NOT NULL,
    key_kind          TEXT    NOT NULL,
    not_before        INTEGER NOT NULL,
    not_after         INTEGER NOT NULL CHECK (not_after >= not_before),
    issued_at         INTEGER NOT NULL,
    renewed_from      INTEGER REFERENCES certificates (id),
    downloaded_at     INTEGER,
    used_at           INTEGER,
    superseded        INTEGER NOT NULL DEFAULT 0 CHECK (superseded IN (0, 1)),
    revoked_at        INTEGER,
    revocation_reason TEXT,
    der               BLOB    NOT NULL,
    UNIQUE (serial, issuer_id),
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id),
    CHECK ((revoked_at IS NULL) = (revocation_reason IS NULL))
) STRICT;

CREATE INDEX certificates_by_terminal ON certificates (terminal_id, not_after);
CREATE INDEX certificates_by_customer ON certificates (customer_id);
-- One for each list of the gate's snapshot. Each holds only its exceptions and all columns of its question, so that the rows themselves
-- (long ones, with a certificate in each) are not touched.
CREATE INDEX certificates_revoked ON certificates (not_after, issuer_id, serial, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX certificates_unused ON certificates (not_after, issuer_id, serial, used_at, revoked_at)
    WHERE used_at IS NULL AND revoked_at IS NULL;
CREATE INDEX certificates_superseded ON certificates (not_after, issuer_id, serial, superseded, revoked_at)
    WHERE superseded = 1 AND revoked_at IS NULL;

CREATE TABLE bundles (
    certificate_id  INTEGER PRIMARY KEY REFERENCES certificates (id),
    terminal_id     BLOB    NOT NULL,
    customer_id     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    downloads       INTEGER NOT NULL DEFAULT 0,
    reveals         INTEGER NOT NULL DEFAULT 0,
    erased_at       INTEGER,
    sealed_key      BLOB,
    sealed_password BLOB,
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id),
    -- Erased means that both are gone; open means that both are there.
    CHECK ((erased_at IS NULL) = (sealed_key IS NOT NULL)),
    CHECK ((erased_at IS NULL) = (sealed_password IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX bundles_open ON bundles (terminal_id) WHERE erased_at IS NULL;
CREATE INDEX bundles_lapsing ON bundles (expires_at) WHERE erased_at IS NULL;

CREATE TABLE sessions (
    token_hash  BLOB    NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id     INTEGER NOT NULL,
    customer_id INTEGER NOT NULL,
    terminal_id BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    deferred    INTEGER NOT NULL DEFAULT 0 CHECK (deferred IN (0, 1)),
    FOREIGN KEY (user_id, customer_id) REFERENCES users (id, customer_id),
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id)
) STRICT;

CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE throttle (
    user_name       TEXT    NOT NULL,
    terminal_id     BLOB    NOT NULL REFERENCES terminals (id),
    failures        INTEGER NOT NULL,
    last_failure_at INTEGER NOT NULL,
    locked_until    INTEGER,
    PRIMARY KEY (user_name, terminal_id)
) STRICT;

CREATE INDEX throttle_by_age ON throttle (last_failure_at);

-- The operation log. No foreign keys: it also tells of refused acts that name what does not exist.
CREATE TABLE audit (
    sequence    INTEGER PRIMARY KEY CHECK (sequence > 0),
    at          INTEGER NOT NULL,
    actor_kind  TEXT    NOT NULL,
    actor_name  TEXT    NOT NULL,
    customer_id INTEGER,
    terminal_id BLOB,
    serial      BLOB,
    action      TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    hash        BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX audit_by_terminal ON audit (terminal_id, sequence);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the operation log is not changed');
END;

CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the operation log is not shortened');
END;

-- Also stops INSERT OR REPLACE, which deletes without asking the trigger above.
CREATE TRIGGER audit_has_no_gaps BEFORE INSERT ON audit
WHEN NEW.sequence <> (SELECT COALESCE(MAX(sequence), 0) + 1 FROM audit)
BEGIN
    SELECT RAISE(ABORT, 'the operation log has no gaps');
END;

-- Counts the changes that the gate's snapshot must follow.
CREATE TABLE counters (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

INSERT INTO counters (name, value) VALUES ('trust', 0);

-- Certificates of our own listeners.
CREATE TABLE server_certificates (
    id         INTEGER PRIMARY KEY,
    issuer_id  INTEGER NOT NULL REFERENCES issuers (id),
    serial     BLOB    NOT NULL CHECK (length(serial) = 16),
    hosts      TEXT    NOT NULL,
    not_before INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    issued_at  INTEGER NOT NULL,
    der        BLOB    NOT NULL,
    UNIQUE (serial, issuer_id)
) STRICT;
