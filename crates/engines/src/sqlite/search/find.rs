//! Where a phrase is.

use rusqlite::params;
use sterna_account::StoreError;
use sterna_account::search::{DocSet, Field, Matches, Phrase, Run, grams, is_opaque};

use sterna_formats::mail::stem::stems;

use super::super::error::store_error;
use super::SqliteIndex;
use super::write::letter;

/// Words that have what is looked for inside. With more of them, reading the messages is faster: nearly all match then.
const WORDS_MAX: usize = 20_000;

/// The longest text whose presence [`grams`] and tails tell for sure: every such piece of a word begins one of them.
const SURE_CHARS_MAX: usize = 3;

/// See [`sterna_account::search::SearchIndex::find`].
pub fn find(index: &SqliteIndex, field: Field, phrase: &Phrase) -> Result<Option<Matches>, StoreError> {
    let mut all: Option<Matches> = None;
    for run in &phrase.runs {
        let Some(found) = find_run(index, field, run)? else { return Ok(None) };
        all = Some(match all {
            None => found,
            // Several runs are a phrase, of which nothing is sure.
            Some(mut all) => {
                let mut found_any = found.sure;
                found_any.unite(&found.perhaps);
                all.perhaps.unite(&all.sure);
                all.sure = DocSet::default();
                all.perhaps.intersect(&found_any);
                all
            }
        });
    }
    Ok(all.map(|mut found| {
        if !phrase.is_exact {
            found.perhaps.unite(&found.sure);
            found.sure = DocSet::default();
        }
        found
    }))
}

fn find_run(index: &SqliteIndex, field: Field, run: &Run) -> Result<Option<Matches>, StoreError> {
    let mut found = Matches::default();
    let is_whole_word = !run.is_open_left && !run.is_open_right;
    if !is_opaque(&run.text) {
        let Some(words) = (if is_whole_word { Some(vec![run.text.clone()]) } else { words_with(index, run)? }) else {
            return Ok(None);
        };
        for word in words {
            documents(index, &format!("\"{}w{word}\"", letter(field)), &mut found.sure)?;
        }
    }
    if !is_whole_word || is_opaque(&run.text) {
        let chars = run.text.chars().count();
        let pieces = if chars <= SURE_CHARS_MAX {
            documents(index, &format!("\"{}x{}\" *", letter(field), run.text), &mut found.sure)?;
            return Ok(Some(found));
        } else {
            grams(&run.text).map(|gram| format!("\"{}x{gram}\"", letter(field))).collect::<Vec<_>>()
        };
        documents(index, &pieces.join(" AND "), &mut found.perhaps)?;
    }
    Ok(Some(found))
}

/// The words that have the run where it must be; `None` when they are too many.
fn words_with(index: &SqliteIndex, run: &Run) -> Result<Option<Vec<String>>, StoreError> {
    let limit = i64::try_from(WORDS_MAX).unwrap_or(i64::MAX);
    let text = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let grams: Vec<String> = grams(&run.text).map(|gram| format!("\"{gram}\"")).collect();
    let mut words = if grams.is_empty() {
        let statement = "SELECT text FROM word WHERE instr(text, ?1) LIMIT ?2 + 1";
        index.rows(statement, params![run.text, limit], text)?
    } else {
        let statement = "SELECT w.text FROM gram g JOIN word w ON w.id = g.rowid WHERE gram MATCH ?1 LIMIT ?2 + 1";
        index.rows(statement, params![grams.join(" AND "), limit], text)?
    };
    if words.len() > WORDS_MAX {
        return Ok(None);
    }
    words.retain(|word| run.is_in(word));
    Ok(Some(words))
}

/// See [`sterna_account::search::SearchIndex::find_forms`].
pub fn find_forms(index: &SqliteIndex, field: Field, word: &str) -> Result<DocSet, StoreError> {
    let mut found = DocSet::default();
    for (stem, languages) in stems(word) {
        let statement = "SELECT w.text FROM stem s JOIN word w ON w.id = s.word \
             WHERE s.stem = ?1 AND s.languages & ?2 <> 0";
        for form in index.rows(statement, params![stem, languages], |row| row.get::<_, String>(0))? {
            documents(index, &format!("\"{}w{form}\"", letter(field)), &mut found)?;
        }
    }
    Ok(found)
}

/// Adds the documents that match.
fn documents(index: &SqliteIndex, terms: &str, found: &mut DocSet) -> Result<(), StoreError> {
    let mut statement =
        index.conn.prepare_cached("SELECT rowid FROM terms WHERE terms MATCH ?1").map_err(store_error)?;
    let mut rows = statement.query(params![terms]).map_err(store_error)?;
    while let Some(row) = rows.next().map_err(store_error)? {
        found.insert(row.get(0).map_err(store_error)?);
    }
    Ok(())
}
