-- Programs that are told of certificates, of one customer or of all. Secrets are sealed; the one before signs too for a while after a change.
CREATE TABLE webhooks (
    id              INTEGER PRIMARY KEY,
    customer_id     INTEGER REFERENCES customers (id),
    url             TEXT    NOT NULL,
    private         INTEGER NOT NULL CHECK (private IN (0, 1)),
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    sealed_secret   BLOB    NOT NULL,
    sealed_previous BLOB,
    previous_until  INTEGER
) STRICT;

CREATE INDEX webhooks_live ON webhooks (customer_id) WHERE ended_at IS NULL;
