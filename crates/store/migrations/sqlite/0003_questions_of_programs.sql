-- What a renewal by a program asks about its terminal (how many of today, this key's own, a revoked one of this key) is answered from this
-- index alone: the rows are long, and a busy terminal has many. Lists by end sort the few rows of one terminal.
DROP INDEX certificates_by_terminal;
CREATE INDEX certificates_by_terminal ON certificates (terminal_id, issued_at, key_hash, profile, revoked_at, revocation_reason);
