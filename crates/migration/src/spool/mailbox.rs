//! One mailbox of the spool, as replication tells it.

use std::path::PathBuf;

use super::annotations::{self, Annotations};
use super::disk::Spool;
use super::header::{self, Header};
use super::index::{Entry, Index};
use super::list::Listed;
use super::{Bad, SpoolError, layout, read_file};
use crate::cyrus::crc::Sums;
use crate::cyrus::mailbox::{Annotation, Mailbox, Record};
use crate::cyrus::names;
use crate::limits::{INDEX_BYTES_MAX, SMALL_FILE_BYTES_MAX};

/// What Cyrus' own annotations begin with.
const OWN: &str = "/vendor/cmu/cyrus-imapd/";

/// A mailbox whose files are there.
pub struct Opened {
    /// What is told of it, without sums.
    pub told: Mailbox,
    /// Its records.
    pub index: Index,
    /// Where its messages can be.
    pub folders: Vec<PathBuf>,
    /// The same of those in the archive.
    pub archive_first: Vec<PathBuf>,
    index_path: PathBuf,
    keywords: Vec<Option<String>>,
    annotations: Annotations,
    owner: String,
}

/// Opens a mailbox.
///
/// # Errors
/// [`SpoolError`] when one of its files is missing, or not what it should be.
pub fn open(spool: &Spool, listed: &Listed) -> Result<Opened, SpoolError> {
    let nowhere = |cause: &str| SpoolError::damaged(&PathBuf::from(&listed.name), cause);
    let Some(partition) = spool.config.partition(&listed.partition) else {
        return Err(nowhere(&format!("nobody says where the partition {} is", listed.partition)));
    };
    let roots = [Some(partition.clone()), spool.config.meta_partition(&listed.partition)];
    let is_there = |path: &&PathBuf| roots.iter().flatten().any(|root| root.join(path).is_dir());
    let candidates = match (&listed.unique_id, listed.is_by_id) {
        (Some(id), true) => layout::by_id(id).into_iter().collect(),
        _ => layout::by_name(&spool.config, &listed.name),
    };
    let relative =
        candidates.iter().find(is_there).or(candidates.first()).ok_or_else(|| nowhere("it can't have a folder"))?;
    let [data, meta] = roots.map(|root| root.map(|root| root.join(relative)));
    let data = data.unwrap_or_default();
    let archive = spool.config.archive_partition(&listed.partition).map(|root| root.join(relative));
    let file = |name: &str| {
        let meta = meta.as_ref().map(|folder| folder.join(name)).filter(|path| path.exists());
        meta.unwrap_or_else(|| data.join(name))
    };
    let needed = |path: &PathBuf, bytes_max: u64| {
        read_file(path, bytes_max)?.ok_or_else(|| SpoolError::damaged(path, "it is missing"))
    };
    let (header_path, index_path) = (file("cyrus.header"), file("cyrus.index"));
    let header = needed(&header_path, SMALL_FILE_BYTES_MAX)?;
    let header = header::read(&header).map_err(|cause| SpoolError::damaged(&header_path, cause))?;
    let index = Index::read(needed(&index_path, INDEX_BYTES_MAX)?);
    let index = index.map_err(|cause| SpoolError::damaged(&index_path, cause))?;
    let owner = names::read(&listed.name).map(|name| name.user()).unwrap_or_default();
    let told =
        told(spool, listed, &header, &index, &owner).map_err(|cause| SpoolError::damaged(&header_path, cause))?;
    let annotations = annotations::read(&file("cyrus.annotations"))?;
    let folders: Vec<PathBuf> = [Some(data), archive].into_iter().flatten().collect();
    let archive_first = folders.iter().rev().cloned().collect();
    let keywords = header.keywords;
    Ok(Opened { told, index, folders, archive_first, index_path, keywords, annotations, owner })
}

fn told(spool: &Spool, listed: &Listed, header: &Header, index: &Index, owner: &str) -> Result<Mailbox, Bad> {
    let unique_id = listed.unique_id.clone().or_else(|| header.unique_id.clone()).ok_or(Bad("it says no id"))?;
    if header.unique_id.as_ref().is_some_and(|own| *own != unique_id) {
        return Err(Bad("it is another mailbox's"));
    }
    let mut numbers: Vec<(String, u64)> =
        index.numbers.iter().map(|(key, number)| ((*key).to_owned(), *number)).collect();
    if listed.folder_modseq > 0 {
        numbers.push(("FOLDERMODSEQ".to_owned(), listed.folder_modseq));
    }
    let mut own = annotations::of(&spool.annotations, &unique_id, owner);
    if own.is_empty() {
        own = annotations::of(&spool.annotations, &listed.name, owner);
    }
    Ok(Mailbox {
        unique_id,
        name: listed.name.clone(),
        kind: listed.kind.clone(),
        sums: (0, 0),
        last_uid: index.last_uid,
        numbers,
        highest_modseq: index.highest_modseq,
        uid_validity: index.uid_validity,
        partition: listed.partition.clone(),
        acl: if listed.acl.is_empty() { header.acl.clone() } else { listed.acl.clone() },
        options: index.option_letters(),
        quota_root: header.quota_root.clone(),
        annotations: own,
    })
}

impl Opened {
    /// All records with what they were made of, by UID.
    pub fn records(&self) -> impl Iterator<Item = Result<(Entry, Record), SpoolError>> + '_ {
        self.index.entries().map(|entry| match entry {
            Ok(entry) => {
                let record = self.record(&entry);
                Ok((entry, record))
            }
            Err(cause) => Err(SpoolError::damaged(&self.index_path, cause)),
        })
    }

    fn record(&self, entry: &Entry) -> Record {
        let mut annotations = annotations::of(&self.annotations, &entry.uid.to_string(), &self.owner);
        let own = |name: &str, value: String| Annotation {
            entry: format!("{OWN}{name}"),
            user: String::new(),
            modseq: 0,
            value: value.into_bytes(),
        };
        if entry.thread > 0 {
            annotations.push(own("thrid", format!("{:016x}", entry.thread)));
        }
        if entry.saved > 0 {
            annotations.push(own("savedate", entry.saved.to_string()));
        }
        if entry.created_modseq > 0 {
            annotations.push(own("createdmodseq", entry.created_modseq.to_string()));
        }
        Record {
            uid: entry.uid,
            modseq: entry.modseq,
            last_updated: entry.last_updated.into(),
            flags: entry.flag_names(&self.keywords),
            internal_date: entry.internal_date.into(),
            size: entry.size.into(),
            guid: entry.guid.iter().map(|byte| format!("{byte:02x}")).collect(),
            annotations,
        }
    }

    /// Where the message of a record can be.
    pub fn folders_of(&self, entry: &Entry) -> &[PathBuf] {
        if entry.is_archived() { &self.archive_first } else { &self.folders }
    }

    /// The sums over all records.
    ///
    /// # Errors
    /// [`SpoolError`] when one of them is damaged.
    pub fn sums(&self) -> Result<Sums, SpoolError> {
        let mut sums = Sums::default();
        for found in self.records() {
            sums.toggle(&found?.1);
        }
        Ok(sums)
    }
}
