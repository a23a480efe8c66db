-- What else is known of a terminal: where it stands and what runs on it, as its administrator wrote it, and when it was here last. Beside the
-- terminals, so that noting a visit touches no row that the way of a request reads.
CREATE TABLE terminal_facts (
    terminal_id bytea   NOT NULL PRIMARY KEY,
    customer_id bigint  NOT NULL,
    place       text    NOT NULL DEFAULT '' COLLATE "C",
    system      text    NOT NULL DEFAULT '' COLLATE "C",
    seen_at     bigint,
    seen_system text COLLATE "C",
    FOREIGN KEY (terminal_id, customer_id) REFERENCES terminals (id, customer_id)
);

CREATE INDEX terminal_facts_by_customer ON terminal_facts (customer_id);
