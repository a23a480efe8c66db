-- Programs that bring their own keys: agents, and others that speak EST.

-- SHA-256 of the SubjectPublicKeyInfo, so that a program that asks again with the same key gets the same certificate. Certificates that
-- were issued before this step have none.
ALTER TABLE certificates ADD COLUMN key_hash BLOB CHECK (length(key_hash) = 32);

-- Certificates of a terminal come in lines: each renewed from the one before. `by_hand` ones, whose keys we make for people to install, are
-- one line however they came; what programs hold is a line for each of their keys' first certificate. `line` is the first one's id, or
-- nothing for the first one itself. Within a line, a later one in use supersedes the earlier.
ALTER TABLE certificates ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 1 CHECK (by_hand IN (0, 1));
ALTER TABLE certificates ADD COLUMN line INTEGER;
UPDATE certificates SET line = (SELECT MIN(o.id) FROM certificates o WHERE o.terminal_id = certificates.terminal_id);

-- Codes with which a terminal without a certificate gets its first one. The first half of a code names its row; of the whole, only a keyed
-- hash is here. `key_hash` is the key that it was used with.
CREATE TABLE invitations (
    selector    TEXT    NOT NULL PRIMARY KEY CHECK (length(selector) = 4),
    code_hash   BLOB    NOT NULL CHECK (length(code_hash) = 32),
    terminal_id BLOB    NOT NULL,
    customer_id INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    failures    INTEGER NOT NULL DEFAULT 0,
    approval    TEXT    NOT NULL,
    key_hash    BLOB    CHECK (length(key_hash) = 32),
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id)
) STRICT;

CREATE INDEX invitations_by_end ON invitations (expires_at);
CREATE INDEX invitations_by_terminal ON invitations (terminal_id);

-- What the operator said about renewing ahead of time: to everybody, to one customer, or to one terminal.
CREATE TABLE advice (
    id              INTEGER PRIMARY KEY,
    since           INTEGER NOT NULL,
    until           INTEGER NOT NULL CHECK (until >= since),
    customer_id     INTEGER REFERENCES customers (id),
    terminal_id     BLOB    REFERENCES terminals (id),
    explanation_url TEXT,
    withdrawn_at    INTEGER,
    CHECK (terminal_id IS NULL OR customer_id IS NOT NULL)
) STRICT;

CREATE INDEX advice_in_force ON advice (customer_id, terminal_id, since) WHERE withdrawn_at IS NULL;
