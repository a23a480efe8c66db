-- Keys that programs show beside their terminal's certificate. Of the secrets only keyed hashes are here; after a rotation the one before counts
-- until `previous_until`. With `everything`, a key of the operator's: it reaches every row.
CREATE TABLE api_keys (
    id             TEXT    NOT NULL PRIMARY KEY,
    customer_id    INTEGER NOT NULL REFERENCES customers (id),
    terminal_id    BLOB,
    name           TEXT    NOT NULL,
    everything     INTEGER NOT NULL CHECK (everything IN (0, 1)),
    scopes         TEXT    NOT NULL,
    secret_hash    BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    previous_hash  BLOB    CHECK (length(previous_hash) = 32),
    previous_until INTEGER,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    last_used_at   INTEGER,
    revoked_at     INTEGER,
    CHECK ((previous_hash IS NULL) = (previous_until IS NULL)),
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id)
) STRICT;

CREATE INDEX api_keys_by_customer ON api_keys (customer_id);
CREATE INDEX api_keys_by_terminal ON api_keys (terminal_id) WHERE terminal_id IS NOT NULL;
