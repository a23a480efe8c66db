//! Requests of programs that may come twice: what was changed is changed once, and the answer of the first time is given again for a day. Answers are
//! kept encrypted, since some hold a code.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tegata_core::api_key::{ApiKeyId, Program, Request};
use tegata_core::secret::{Secret, random};

use crate::{Authority, AuthorityError};

/// What is known of a request.
pub enum Repeat {
    /// Nothing: it can be carried out, as long as this is kept.
    First(Request, UnderWay),
    /// It was carried out; the answer was this: its status and its body.
    Answered(u16, Secret<String>),
    /// It is being carried out, or was and its answer got lost.
    Unanswered,
    /// Something else was asked for under this token.
    Other,
}

/// That a request is being carried out here.
pub struct UnderWay {
    all: Arc<Mutex<HashSet<(ApiKeyId, String)>>>,
    one: (ApiKeyId, String),
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.all.lock().expect("nothing panics while holding this lock").remove(&self.one);
    }
}

/// Requests that are being carried out here. On another node the mark in the register keeps the second one out.
pub(crate) type AllUnderWay = Arc<Mutex<HashSet<(ApiKeyId, String)>>>;

impl Authority {
    /// Whether a program has asked for this before, under this token; `hash` is over what it asks for.
    pub async fn asked_before(&self, program: &Program, token: &str, hash: [u8; 32]) -> Result<Repeat, AuthorityError> {
        let one = (program.key.clone(), token.to_owned());
        let all = self.0.requests.clone();
        if !all.lock().expect("nothing panics while holding this lock").insert(one.clone()) {
            return Ok(Repeat::Unanswered);
        }
        let under_way = UnderWay { all, one };
        let found = self.0.reader.api_request(&program.key, token, self.now()).await?;
        let Some(row) = found else {
            let request = Request { name: token.to_owned(), hash, attempt: random(&*self.0.entropy) };
            return Ok(Repeat::First(request, under_way));
        };
        if row.hash != hash {
            return Ok(Repeat::Other);
        }
        let Some((status, sealed)) = row.answer else { return Ok(Repeat::Unanswered) };
        let opened = self.0.vault.open(&context(&program.key, token), &sealed)?;
        let body = String::from_utf8(opened.expose().clone()).map_err(|_| AuthorityError::Missing("answer"))?;
        let status = u16::try_from(status).map_err(|_| AuthorityError::Missing("answer"))?;
        Ok(Repeat::Answered(status, Secret::new(body)))
    }

    /// Keeps the answer of a request that changed something, to be given again.
    pub async fn keep_answer(
        &self,
        program: &Program,
        request: &Request,
        (status, body): (u16, &str),
    ) -> Result<(), AuthorityError> {
        let sealed = self.0.vault.seal(&context(&program.key, &request.name), body.as_bytes(), &*self.0.entropy);
        let (key, request) = (program.key.clone(), request.clone());
        let write = self.0.store.write(move |tx| {
            Box::pin(async move { tx.keep_api_answer(&key, &request, (status.into(), sealed)).await })
        });
        // Without a mark nothing was changed, so that asking again is asking for the first time.
        write.await?;
        Ok(())
    }
}

fn context(key: &ApiKeyId, token: &str) -> String {
    format!("api-request/{key}/{token}")
}
