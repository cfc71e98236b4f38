//! Taking a batch into an index.

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use sterna_account::StoreError;
use sterna_account::search::{Document, Field, IndexBatch, IndexProgress, grams, is_opaque, tails};

use sterna_formats::mail::stem::stems;

use super::super::error::store_error;
use super::super::rows::sql;
use super::SqliteIndex;

/// Words that are remembered to be in the table; more are looked up there.
const KNOWN_WORDS_MAX: usize = 200_000;

/// The letter of a field in terms.
pub fn letter(field: Field) -> char {
    match field {
        Field::From => 'f',
        Field::To => 't',
        Field::Cc => 'c',
        Field::Bcc => 'd',
        Field::Subject => 's',
        Field::Header => 'h',
        Field::Body => 'b',
        Field::Document => 'a',
    }
}

/// Whole or not at all.
pub fn apply(index: &mut SqliteIndex, batch: &IndexBatch) -> Result<(), StoreError> {
    let mut new_words = Vec::new();
    let known = &index.known_words;
    let mut run = || {
        let transaction = Transaction::new_unchecked(&index.conn, TransactionBehavior::Immediate)?;
        for (hash, text) in &batch.texts {
            let statement = "INSERT OR IGNORE INTO kept_text (hash, text) VALUES (?1, ?2)";
            transaction.prepare_cached(statement)?.execute(params![hash.0.as_slice(), text])?;
        }
        for document in &batch.documents {
            for (_, word) in &document.words {
                if !is_opaque(word) && !known.contains(word.as_str()) {
                    add_word(&transaction, word)?;
                    new_words.push(word.as_str());
                }
            }
            add_document(&transaction, document)?;
        }
        place(&transaction, batch)?;
        if let Some(progress) = batch.progress {
            set_progress(&transaction, progress)?;
        }
        transaction.commit()
    };
    run().map_err(store_error)?;
    if index.known_words.len() > KNOWN_WORDS_MAX {
        index.known_words.clear();
    }
    index.known_words.extend(new_words.into_iter().map(Box::from));
    Ok(())
}

fn add_word(transaction: &Transaction<'_>, word: &str) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("INSERT OR IGNORE INTO word (text) VALUES (?1)")?;
    if statement.execute(params![word])? == 0 {
        return Ok(());
    }
    let id = transaction.last_insert_rowid();
    let joined = grams(word).collect::<Vec<_>>().join(" ");
    transaction.prepare_cached("INSERT INTO gram (rowid, grams) VALUES (?1, ?2)")?.execute(params![id, joined])?;
    for (stem, languages) in stems(word) {
        let statement = "INSERT INTO stem (stem, word, languages) VALUES (?1, ?2, ?3)";
        transaction.prepare_cached(statement)?.execute(params![stem, id, languages])?;
    }
    Ok(())
}

fn add_document(transaction: &Transaction<'_>, document: &Document) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached("INSERT OR IGNORE INTO document (hash, is_partial, words) VALUES (?1, ?2, ?3)")?;
    let words = i64::try_from(document.words.len()).unwrap_or(i64::MAX);
    if statement.execute(params![document.content.0.as_slice(), document.is_partial, words])? == 0 {
        return Ok(());
    }
    let id = transaction.last_insert_rowid();
    let mut terms = String::new();
    for (field, word) in &document.words {
        let mut push = |kind: char, text: &str| {
            terms.extend([letter(*field), kind]);
            terms.push_str(text);
            terms.push(' ');
        };
        if is_opaque(word) {
            grams(word).chain(tails(word)).for_each(|piece| push('x', piece));
        } else {
            push('w', word);
        }
    }
    transaction.prepare_cached("INSERT INTO terms (rowid, text) VALUES (?1, ?2)")?.execute(params![id, terms])?;
    let statement = "INSERT OR IGNORE INTO attached (document, kept_text) SELECT ?1, id FROM kept_text WHERE hash = ?2";
    let mut attach = transaction.prepare_cached(statement)?;
    for hash in &document.attached {
        attach.execute(params![id, hash.0.as_slice()])?;
    }
    Ok(())
}

fn place(transaction: &Transaction<'_>, batch: &IndexBatch) -> rusqlite::Result<()> {
    let statement = "INSERT OR IGNORE INTO item (container, uid, document) \
         SELECT ?1, ?2, id FROM document WHERE hash = ?3";
    let mut add = transaction.prepare_cached(statement)?;
    for item in &batch.placed {
        add.execute(params![sql(item.container.0), item.uid.0, item.content.0.as_slice()])?;
    }
    let statement = "DELETE FROM item WHERE container = ?1 AND uid = ?2 RETURNING document";
    let mut remove = transaction.prepare_cached(statement)?;
    let mut find = transaction.prepare_cached("SELECT 1 FROM item WHERE document = ?1")?;
    for (container, uid) in &batch.gone {
        let document: Option<i64> = remove.query_row(params![sql(container.0), uid.0], |row| row.get(0)).optional()?;
        if let Some(document) = document
            && !find.exists(params![document])?
        {
            remove_document(transaction, document)?;
        }
    }
    Ok(())
}

/// With the texts that were kept for it alone.
fn remove_document(transaction: &Transaction<'_>, document: i64) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM terms WHERE rowid = ?1")?.execute(params![document])?;
    transaction.prepare_cached("DELETE FROM document WHERE id = ?1")?.execute(params![document])?;
    let statement = "DELETE FROM attached WHERE document = ?1 RETURNING kept_text";
    let mut detach = transaction.prepare_cached(statement)?;
    let texts: Vec<i64> = detach.query_map(params![document], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let statement = "DELETE FROM kept_text \
         WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM attached WHERE attached.kept_text = kept_text.id)";
    let mut forget = transaction.prepare_cached(statement)?;
    for text in texts {
        forget.execute(params![text])?;
    }
    Ok(())
}

fn set_progress(transaction: &Transaction<'_>, progress: IndexProgress) -> rusqlite::Result<()> {
    let IndexProgress { reached, whole_at } = progress;
    let statement = "INSERT OR REPLACE INTO progress \
         (id, modseq, container, uid, whole_epoch, whole_modseq, whole_digest) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)";
    let (epoch, modseq, digest) = match whole_at {
        Some((epoch, modseq, digest)) => {
            (Some(sql(epoch.0)), Some(sql(modseq.0)), Some(digest.0.to_le_bytes().to_vec()))
        }
        None => (None, None, None),
    };
    let container = reached.container.0.cast_signed();
    let values = params![sql(reached.modseq.0), container, reached.uid.0, epoch, modseq, digest];
    transaction.prepare_cached(statement)?.execute(values)?;
    Ok(())
}
