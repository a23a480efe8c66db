-- Keys that programs show beside their terminal's certificate. Of the secrets only keyed hashes are here; after a rotation the one before counts
-- until `previous_until`. With `everything`, a key of the operator's: it reaches every row.
CREATE TABLE api_keys (
    id             text   NOT NULL COLLATE "C" PRIMARY KEY,
    customer_id    bigint NOT NULL REFERENCES customers (id),
    terminal_id    bytea,
    name           text   NOT NULL COLLATE "C",
    everything     bigint NOT NULL CHECK (everything IN (0, 1)),
    scopes         text   NOT NULL COLLATE "C",
    secret_hash    bytea    NOT NULL CHECK (octet_length(secret_hash) = 32),
    previous_hash  bytea    CHECK (octet_length(previous_hash) = 32),
    previous_until bigint,
    created_at     bigint NOT NULL,
    expires_at     bigint NOT NULL,
    last_used_at   bigint,
    revoked_at     bigint,
    CHECK ((previous_hash IS NULL) = (previous_until IS NULL)),
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id)
);

CREATE INDEX api_keys_by_customer ON api_keys (customer_id);
CREATE INDEX api_keys_by_terminal ON api_keys (terminal_id) WHERE terminal_id IS NOT NULL;
