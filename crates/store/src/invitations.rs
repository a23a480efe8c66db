//! Invitations: codes with which terminals without a certificate get their first one. Only a keyed hash of each code is kept; whether one
//! counts is decided elsewhere (`tegata_core::invitation`).

use tegata_core::access::Scope;
use tegata_core::id::{CertificateId, KeyHash, TerminalId};
use tegata_core::invitation::{Approval, Invitation};
use tegata_core::time::Timestamp;

use crate::db::{Query, Row, unreadable};
use crate::{Reader, StoreError, Tx};

const SELECT: &str = "SELECT selector, code_hash, terminal_id, customer_id, expires_at, failures, approval, key_hash, by_operator, moves \
                      FROM invitations WHERE 1 = 1";

/// An invitation with the keyed hash of its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationRow {
    /// What it says.
    pub invitation: Invitation,
    /// The keyed hash of its code.
    pub code_hash: [u8; 32],
}

fn invitation(row: &Row) -> Result<InvitationRow, StoreError> {
    let invitation = Invitation {
        selector: row.text("selector")?,
        terminal: row.terminal("terminal_id")?,
        customer: row.customer("customer_id")?,
        expires_at: row.time("expires_at")?,
        failures: row.number("failures")?,
        key: row.opt_bytes("key_hash")?.map(KeyHash),
        approval: Approval::parse(&row.text("approval")?).ok_or_else(|| unreadable("approval"))?,
        by_operator: row.int("by_operator")? == 1,
        moves: row.int("moves")? == 1,
    };
    Ok(InvitationRow { invitation, code_hash: row.bytes("code_hash")? })
}

fn by_selector(selector: &str) -> Query {
    Query::new(SELECT).with(" AND selector = ", selector)
}

impl Reader {
    /// Invitations that have not lapsed, those that lapse first on top.
    pub async fn invitations(&self, scope: Scope, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
        let query = Query::new(SELECT).with(" AND expires_at >= ", now);
        let query = query.within(scope, " AND terminal_id = ", " AND customer_id = ");
        let rows = self.all(query.text(" ORDER BY expires_at, selector"), invitation).await?;
        Ok(rows.into_iter().map(|row| row.invitation).collect())
    }
}

impl Tx {
    /// The invitation that a code's first half names.
    pub async fn invitation(&mut self, selector: &str) -> Result<Option<InvitationRow>, StoreError> {
        self.optional(by_selector(selector), invitation).await
    }

    /// Keeps an invitation. A selector that is taken is a duplicate; earlier invitations of the terminal end.
    pub async fn insert_invitation(&mut self, new: &InvitationRow, now: Timestamp) -> Result<(), StoreError> {
        let Invitation { selector, terminal, customer, expires_at, approval, by_operator, moves, .. } = &new.invitation;
        let earlier = Query::new("DELETE FROM invitations WHERE terminal_id = $1").bind(*terminal);
        self.execute(earlier).await?;
        let query = Query::new(
            "INSERT INTO invitations (selector, code_hash, terminal_id, customer_id, created_at, expires_at, approval, by_operator, moves) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&**selector)
        .bind(new.code_hash)
        .bind(*terminal)
        .bind(*customer)
        .bind(now)
        .bind(*expires_at)
        .bind(approval.as_str())
        .bind(i64::from(*by_operator))
        .bind(i64::from(*moves));
        let named = StoreError::NotFound { what: "terminal of this customer" };
        self.execute(query).await.map_err(|error| error.if_dangling(named)).map(|_| ())
    }

    /// Counts a wrong second half. Once a code is bound to a key, guessing it gains nothing, and must not end what waits for approval.
    pub async fn count_wrong_code(&mut self, selector: &str) -> Result<(), StoreError> {
        let query = "UPDATE invitations SET failures = failures + 1 WHERE selector = $1 AND key_hash IS NULL";
        self.execute(Query::new(query).bind(selector)).await.map(|_| ())
    }

    /// Binds an invitation to the key that it was used with, until then.
    pub async fn bind_invitation(
        &mut self,
        selector: &str,
        key: KeyHash,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let query = "UPDATE invitations SET key_hash = $2, expires_at = $3 WHERE selector = $1";
        self.execute(Query::new(query).bind(selector).bind(key).bind(expires_at)).await.map(|_| ())
    }

    /// Writes the operator's word down. A no counts whatever was said before. False when nothing can be decided under this selector.
    pub async fn decide_invitation(&mut self, selector: &str, approval: Approval) -> Result<bool, StoreError> {
        let query = match approval {
            Approval::Refused => "UPDATE invitations SET approval = $2 WHERE selector = $1 AND approval <> 'refused'",
            _ => {
                "UPDATE invitations SET approval = $2 WHERE selector = $1 AND approval = 'pending' AND key_hash IS NOT NULL"
            }
        };
        Ok(self.execute(Query::new(query).bind(selector).bind(approval.as_str())).await? > 0)
    }

    /// Ends a terminal's invitations; says how many.
    pub async fn end_invitations(&mut self, terminal: TerminalId) -> Result<u64, StoreError> {
        self.execute(Query::new("DELETE FROM invitations WHERE terminal_id = $1").bind(terminal)).await
    }

    /// Ends those of a terminal's invitations that were used with a key.
    pub async fn end_used_invitations(&mut self, terminal: TerminalId) -> Result<u64, StoreError> {
        let query = "DELETE FROM invitations WHERE terminal_id = $1 AND key_hash IS NOT NULL";
        self.execute(Query::new(query).bind(terminal)).await
    }

    /// With this certificate a terminal moves to another PC.
    pub async fn insert_move(&mut self, certificate: CertificateId, terminal: TerminalId) -> Result<(), StoreError> {
        let query = Query::new("INSERT INTO moves (certificate_id, terminal_id) VALUES ($1, $2)");
        self.execute(query.bind(certificate).bind(terminal)).await.map(|_| ())
    }

    /// The certificates with which a terminal is about to move to another PC.
    pub async fn moves(&mut self, terminal: TerminalId) -> Result<Vec<CertificateId>, StoreError> {
        let query = Query::new("SELECT certificate_id FROM moves WHERE terminal_id = $1").bind(terminal);
        self.all(query, |row| Ok(CertificateId(row.int("certificate_id")?))).await
    }

    /// The terminal has moved, or another move begins.
    pub async fn end_moves(&mut self, terminal: TerminalId) -> Result<(), StoreError> {
        self.execute(Query::new("DELETE FROM moves WHERE terminal_id = $1").bind(terminal)).await.map(|_| ())
    }

    /// Forgets invitations that have lapsed; says how many.
    pub async fn forget_lapsed_invitations(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        self.execute(Query::new("DELETE FROM invitations WHERE expires_at < $1").bind(now)).await
    }
}
