//! Questions to block lists, by the resolver that sending uses.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use hickory_resolver::proto::rr::RData;

use super::block_lists::ListDns;
use crate::remote::Dns;

/// Answers of one list about one client that are looked at.
const ANSWERS_MAX: usize = 32;

#[async_trait]
impl ListDns for Dns {
    async fn answers(&self, name: &str) -> Result<Vec<Ipv4Addr>, String> {
        let address = |data: &RData| match data {
            RData::A(address) => Some(address.0),
            _ => None,
        };
        match self.resolver().ipv4_lookup(format!("{name}.")).await {
            Ok(found) => {
                Ok(found.answers().iter().filter_map(|record| address(&record.data)).take(ANSWERS_MAX).collect())
            }
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn text(&self, name: &str) -> Option<String> {
        let found = self.resolver().txt_lookup(format!("{name}.")).await.ok()?;
        let text = found.answers().iter().find_map(|record| match &record.data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        });
        text.map(|text| String::from_utf8_lossy(&text).into_owned())
    }
}
