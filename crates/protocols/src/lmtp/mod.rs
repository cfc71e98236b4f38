//! LMTP (RFC 2033): SMTP with LHLO, and a reply for each recipient after the content. The rest is [`crate::smtp`].

mod lhlo;
mod replies;
