-- Who made an enrolment code: the operator, or an administrator of the customer, whose word reaches less far. And whether the terminal moves to
-- another PC with it: then its other certificates end with the first use of the one that the code gives, which stands in `moves` until then.
ALTER TABLE invitations ADD COLUMN by_operator bigint NOT NULL DEFAULT 1 CHECK (by_operator IN (0, 1));
ALTER TABLE invitations ADD COLUMN moves bigint NOT NULL DEFAULT 0 CHECK (moves IN (0, 1));
CREATE TABLE moves (
    certificate_id bigint NOT NULL PRIMARY KEY REFERENCES certificates (id),
    terminal_id    bytea   NOT NULL REFERENCES terminals (id)
);

CREATE INDEX moves_by_terminal ON moves (terminal_id);
