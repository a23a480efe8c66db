-- What the forecast counts: certificates in use that have no newer one in use. A row enters with its first use and leaves with the next one's.
CREATE INDEX certificates_ending ON certificates (not_after, profile, terminal_id, used_at, revoked_at, superseded)
    WHERE revoked_at IS NULL AND used_at IS NOT NULL AND superseded = 0;
