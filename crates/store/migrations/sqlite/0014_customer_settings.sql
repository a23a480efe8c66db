-- What the operator set for single customers. A customer without a row is as the configuration has it for everybody.
CREATE TABLE customer_settings (
    customer_id    INTEGER NOT NULL PRIMARY KEY REFERENCES customers (id),
    most_terminals INTEGER CHECK (most_terminals BETWEEN 0 AND 9999),
    old_programs   INTEGER NOT NULL DEFAULT 1 CHECK (old_programs IN (0, 1))
) STRICT;
