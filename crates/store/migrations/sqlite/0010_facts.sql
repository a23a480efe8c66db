-- What else is known of a terminal: where it stands and what runs on it, as its administrator wrote it, and when it was here last. Beside the
-- terminals, so that noting a visit touches no row that the way of a request reads.
CREATE TABLE terminal_facts (
    terminal_id BLOB    NOT NULL PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    place       TEXT    NOT NULL DEFAULT '',
    system      TEXT    NOT NULL DEFAULT '',
    seen_at     INTEGER,
    seen_system TEXT,
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id)
) STRICT;

CREATE INDEX terminal_facts_by_customer ON terminal_facts (customer_id);
