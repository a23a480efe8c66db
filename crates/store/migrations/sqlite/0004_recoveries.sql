-- Help for terminals that are locked out, at most one for each. Either somebody fetches the new certificate elsewhere (`user_id`), or a code is
-- typed at the terminal itself: of the code, only a keyed hash is here. `token_hash` is that of the browser in which it was typed last,
-- `helper_id` the terminal at which the helper sat, where it was one.
CREATE TABLE recoveries (
    terminal_id BLOB    NOT NULL PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    user_id     INTEGER REFERENCES users (id),
    code_hash   BLOB    CHECK (length(code_hash) = 32),
    helper_id   BLOB    REFERENCES terminals (id),
    reason      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    failures    INTEGER NOT NULL DEFAULT 0,
    token_hash  BLOB    CHECK (length(token_hash) = 32),
    CHECK ((user_id IS NULL) <> (code_hash IS NULL)),
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id)
) STRICT;

CREATE UNIQUE INDEX recoveries_by_token ON recoveries (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX recoveries_by_end ON recoveries (expires_at);
CREATE INDEX recoveries_by_helper ON recoveries (helper_id) WHERE helper_id IS NOT NULL;

-- When it was said that a terminal's key may be in other hands: nobody recovers it until an operator issues it another certificate.
ALTER TABLE terminals ADD COLUMN blocked_at INTEGER;
UPDATE terminals SET blocked_at = (SELECT MAX(c.revoked_at) FROM certificates c WHERE c.terminal_id = terminals.id
    AND c.revocation_reason = 'key-compromise')
    WHERE NOT EXISTS (SELECT 1 FROM certificates n WHERE n.terminal_id = terminals.id AND n.revoked_at IS NULL AND n.issued_at >
        (SELECT MAX(c.revoked_at) FROM certificates c WHERE c.terminal_id = n.terminal_id AND c.revocation_reason = 'key-compromise'));
