//! The milters of one transaction, from MAIL on.

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{Envelope, Following, Rcpt, Refusal};
use tokio::time::timeout;

use super::dialog::Said;
use super::{Milter, STEP_TIMEOUT};
use crate::filter::chain::{Chain, Placed, without};
use crate::filter::{Action, Direction, Facts, FilterError};
use crate::trace::Trace;

/// Told of each recipient; when it is dropped, the transaction is over.
pub struct Followed {
    chain: Chain,
    envelope: Envelope,
    direction: Direction,
    own_name: String,
    clock: Arc<dyn sterna_base::Clock>,
    trace: Trace,
}

impl Followed {
    /// Lets the milters of a chain follow a transaction; `None` when none of them wants this one.
    ///
    /// # Errors
    /// What the client is told, when one of them refuses the sender.
    pub(in crate::filter) async fn begin(
        chain: Chain,
        envelope: &Envelope,
        direction: Direction,
        own_name: String,
        clock: Arc<dyn sterna_base::Clock>,
        trace: Trace,
    ) -> Result<Option<Self>, Refusal> {
        if milters(&chain, direction).next().is_none() {
            return Ok(None);
        }
        let followed = Followed { chain, envelope: envelope.clone(), direction, own_name, clock, trace };
        for (placed, milter) in milters(&followed.chain, direction) {
            let facts = followed.facts();
            let said = match placed.may_ask() {
                Ok(()) => in_time(placed, milter.begin(&facts)).await,
                Err(error) => Err(error),
            };
            placed.note(&said, &*followed.clock);
            if let Err(refusal) = followed.settle(placed, milter, said) {
                // There is nobody else whom it is about yet.
                followed.trace.refused_recipient(&envelope.sender, &envelope.mail_from, &refusal);
                return Err(refusal);
            }
        }
        Ok(Some(followed))
    }

    fn facts(&self) -> Facts<'_> {
        Facts { envelope: &self.envelope, direction: self.direction, own_name: &self.own_name }
    }

    /// What follows from what a milter said about a step, or did not.
    fn settle(&self, placed: &Placed, milter: &Milter, said: Result<Said, FilterError>) -> Result<(), Refusal> {
        let error = match said {
            Ok(Said::Refuse(refusal)) => return Err(refusal.because(&milter.name)),
            Ok(Said::Continue | Said::Accept | Said::Discard) => return Ok(()),
            Err(error) => error,
        };
        let verdict = without(placed, &error);
        if let Action::Refuse(refusal) = verdict.action {
            return Err(refusal.because(format!("{}: {}", milter.name, verdict.why)));
        }
        tracing::info!(filter = milter.name, %error, "a transaction goes on without its milter");
        milter.let_go(self.envelope.transaction, error.to_string());
        Ok(())
    }
}

/// As long as a step may take.
async fn in_time(placed: &Placed, step: impl Future<Output = Result<Said, FilterError>>) -> Result<Said, FilterError> {
    let limit = placed.common.timeout.min(STEP_TIMEOUT);
    timeout(limit, step).await.unwrap_or(Err(FilterError::Late(limit)))
}

fn milters(chain: &Chain, direction: Direction) -> impl Iterator<Item = (&Placed, &Milter)> {
    let concerned = chain.iter().filter(move |placed| placed.common.applies.to(direction));
    concerned.filter_map(|placed| Some((placed, &**placed.milter.as_ref()?)))
}

#[async_trait]
impl Following for Followed {
    async fn recipient(&mut self, rcpt: &Rcpt) -> Result<(), Refusal> {
        for (placed, milter) in milters(&self.chain, self.direction) {
            let said = in_time(placed, milter.recipient(&self.facts(), rcpt)).await;
            if said.is_err() {
                placed.note(&said, &*self.clock);
            }
            if let Err(refusal) = self.settle(placed, milter, said) {
                // As every recipient that is refused before there is a message.
                self.trace.refused_recipient(&self.envelope.sender, &rcpt.address, &refusal);
                return Err(refusal);
            }
        }
        Ok(())
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        for (_, milter) in milters(&self.chain, self.direction) {
            milter.forget(self.envelope.transaction);
        }
    }
}
