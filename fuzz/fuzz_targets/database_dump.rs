//! Dumps of databases: nothing panics and everything ends; arrays and stores in them are read or are none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_migration::bluemind::dump::{DumpError, Rows, read_from, value};

struct Ignored;

impl Rows for Ignored {
    fn table(&mut self, _name: &str, _columns: &[String]) -> Result<bool, DumpError> {
        Ok(true)
    }

    fn row(&mut self, values: &[Option<String>]) -> Result<(), DumpError> {
        for text in values.iter().flatten() {
            let _ = value::array(text);
            let _ = value::hstore(text);
        }
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = read_from(bytes, &mut Ignored);
    let text = String::from_utf8_lossy(bytes);
    let _ = value::array(&text);
    let _ = value::hstore(&text);
});
