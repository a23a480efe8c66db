-- Help for terminals that are locked out, at most one for each. Either somebody fetches the new certificate elsewhere (`user_id`), or a code is
-- typed at the terminal itself: of the code, only a keyed hash is here. `token_hash` is that of the browser in which it was typed last.
CREATE TABLE recoveries (
    terminal_id BLOB    NOT NULL PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    user_id     INTEGER REFERENCES users (id),
    code_hash   BLOB    CHECK (length(code_hash) = 32),
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
