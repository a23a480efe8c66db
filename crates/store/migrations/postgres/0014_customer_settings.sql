-- What the operator set for single customers. A customer without a row is as the configuration has it for everybody.
CREATE TABLE customer_settings (
    customer_id    BIGINT NOT NULL PRIMARY KEY REFERENCES customers (id),
    most_terminals BIGINT CHECK (most_terminals BETWEEN 0 AND 9999),
    old_programs   BIGINT NOT NULL DEFAULT 1 CHECK (old_programs IN (0, 1))
);
