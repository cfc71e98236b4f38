//! Dumps in both forms, whole, cut and changed; values as PostgreSQL writes them.

use super::copy::{row, statement};
use super::value::{array, hstore, texts};
use super::*;

/// Rows as text.
#[derive(Default)]
struct Told(Vec<String>);

impl Rows for Told {
    fn table(&mut self, name: &str, columns: &[String]) -> Result<bool, DumpError> {
        self.0.push(format!("{name}({})", columns.join(",")));
        Ok(name != "unwanted")
    }

    fn row(&mut self, values: &[Option<String>]) -> Result<(), DumpError> {
        self.0.push(values.iter().map(|value| value.as_deref().unwrap_or("-")).collect::<Vec<_>>().join("|"));
        Ok(())
    }
}

fn told(bytes: &[u8]) -> Result<Vec<String>, DumpError> {
    let mut told = Told::default();
    read_from(bytes, &mut told).map(|()| told.0)
}

/// A dump in the custom form, without compression.
fn custom(version: u8, tables: &[(&str, &str)]) -> Vec<u8> {
    fn int(out: &mut Vec<u8>, value: i32) {
        out.push(u8::from(value < 0));
        out.extend(value.unsigned_abs().to_le_bytes());
    }
    fn text(out: &mut Vec<u8>, value: Option<&str>) {
        match value {
            Some(value) => {
                int(out, i32::try_from(value.len()).unwrap());
                out.extend(value.as_bytes());
            }
            None => int(out, -1),
        }
    }
    let mut out = b"PGDMP".to_vec();
    out.extend([1, version, 0, 4, 8, 1]);
    if version >= 15 {
        out.push(0)
    } else {
        int(&mut out, 0)
    }
    (0..7).for_each(|_| int(&mut out, 0));
    ["bj", "15.1", "15.1"].iter().for_each(|name| text(&mut out, Some(name)));
    int(&mut out, i32::try_from(tables.len()).unwrap() + 1);
    for (n, copy) in std::iter::once("").chain(tables.iter().map(|(copy, _)| *copy)).enumerate() {
        int(&mut out, i32::try_from(n).unwrap());
        int(&mut out, i32::from(n > 0));
        ["0", "0", "name"].iter().for_each(|name| text(&mut out, Some(name)));
        text(&mut out, Some(if n == 0 { "ENCODING" } else { "TABLE DATA" }));
        int(&mut out, 3);
        text(&mut out, Some(""));
        text(&mut out, None);
        text(&mut out, Some(copy));
        (0..if version >= 14 { 3 } else { 2 }).for_each(|_| text(&mut out, Some("public")));
        if version >= 16 {
            int(&mut out, 0);
        }
        text(&mut out, Some("owner"));
        text(&mut out, Some("false"));
        text(&mut out, Some("7"));
        text(&mut out, None);
        out.extend([0; 9]);
    }
    for (n, (_, rows)) in tables.iter().enumerate() {
        out.push(1);
        int(&mut out, i32::try_from(n).unwrap() + 1);
        for piece in rows.as_bytes().chunks(5) {
            int(&mut out, i32::try_from(piece.len()).unwrap());
            out.extend(piece);
        }
        int(&mut out, 0);
    }
    out
}

const TABLES: [(&str, &str); 3] = [
    ("COPY public.t (a, b) FROM stdin;\n", "1\t\\N\nx\\ty\t\\\\N\n\\.\n\n\n"),
    ("COPY public.unwanted (a) FROM stdin;\n", "1\n\\.\n"),
    ("COPY public.empty (a) FROM stdin;\n", "\\.\n"),
];

const EXPECTED: [&str; 5] = ["t(a,b)", "1|-", "x\ty|\\N", "unwanted(a)", "empty(a)"];

#[test]
fn both_forms_say_the_same() {
    for version in 12..=16 {
        assert_eq!(told(&custom(version, &TABLES)).unwrap(), EXPECTED, "{version}");
    }
    let blocks: String = TABLES.iter().map(|(copy, rows)| format!("{copy}{rows}")).collect();
    let plain = format!("--\n-- PostgreSQL database dump\n--\n\n{blocks}-- PostgreSQL database dump complete\n--\n");
    assert_eq!(told(plain.as_bytes()).unwrap(), EXPECTED);
}

#[test]
fn a_dump_that_is_cut_or_changed_anywhere_is_told() {
    let whole = custom(14, &TABLES);
    for length in 0..whole.len() {
        assert!(told(&whole[..length]).is_err(), "{length}");
    }
    // Whatever byte is another one: rows or an error, and an end.
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut changed = whole.clone();
            changed[at] = value;
            let _ = told(&changed);
        }
    }
    assert!(matches!(told(&custom(17, &TABLES)), Err(DumpError::Form(_))));
}

#[test]
fn statements_are_copies_or_nothing() {
    let columns = |text: &str| statement(text).map(|(table, columns)| format!("{table}: {}", columns.join(" ")));
    assert_eq!(columns("COPY public.t_x (id, uid) FROM stdin;").as_deref(), Some("t_x: id uid"));
    assert_eq!(columns("COPY \"a.b\".\"c\"\"d\" (\"e, f\") FROM stdin;").as_deref(), Some("c\"d: e, f"));
    for other in
        ["COPY t FROM stdin;", "COPY t (a) TO stdout;", "COPY t (a FROM stdin;", "COPY (a)", "SELECT 1;", "COPY "]
    {
        assert_eq!(columns(other), None, "{other}");
    }
}

#[test]
fn values_are_unescaped() {
    let mut values = Vec::new();
    row(br"a\\b\tc\n\x41\101\q", &mut values).unwrap();
    assert_eq!(values, [Some("a\\b\tc\nAAq".to_owned())]);
    row(b"\\N\t\t\\\\N", &mut values).unwrap();
    assert_eq!(values, [None, Some(String::new()), Some("\\N".to_owned())]);
    assert!(row(b"a\\", &mut values).is_err() && row(b"\xff", &mut values).is_err());
}

#[test]
fn arrays_and_stores_are_read() {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(array("{}"), Some(vec![]));
    assert_eq!(
        array(r#"{a,"b, \"c\"",NULL,"NULL",""}"#).unwrap(),
        [some("a"), some("b, \"c\""), None, some("NULL"), some("")]
    );
    for none in ["", "a", "{", "{\"a}", "{\"a\"b}"] {
        assert_eq!(array(none), None, "{none}");
    }
    assert_eq!(texts(Some("{a,NULL,b}")), ["a", "b"]);
    let found = hstore(r#""a"=>"1, \"x\"", b=>NULL, "c"=>"""#);
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [("a".to_owned(), "1, \"x\"".to_owned()), ("c".to_owned(), String::new())]
    );
    assert!(hstore("nothing").is_empty() && hstore("\"a\"").is_empty() && hstore("").is_empty());
}
