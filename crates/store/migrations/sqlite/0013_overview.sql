-- What the console counts: who holds certificates of which issuing CA, and what somebody should look at.
CREATE INDEX certificates_held ON certificates (issuer_id, not_after)
    WHERE revoked_at IS NULL AND used_at IS NOT NULL AND superseded = 0;
CREATE INDEX audit_alarms ON audit (sequence) WHERE action IN ('terminal.clone-suspected', 'terminal.lost', 'login.locked');
