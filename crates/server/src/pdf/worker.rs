//! The process that reads one PDF: from standard input, and writes its text to standard output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use pdf_extract::{Document, PlainTextOutput, output_doc_page};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use rustix::stdio::dup2_stdout;

use super::{MEMORY_BYTES_MAX, PDF_BYTES_MAX, PROCESSOR_SECONDS_MAX, TEXT_BYTES_MAX};

/// Pages that are read of one document.
const PAGES_MAX: usize = 2000;

/// Does it.
pub fn run() -> ExitCode {
    // Pages that can't be read are left out; what they say of themselves is nobody's business.
    std::panic::set_hook(Box::new(|_| ()));
    match confine().and_then(|mut output| {
        let mut pdf = Vec::new();
        io::stdin().take(PDF_BYTES_MAX).read_to_end(&mut pdf)?;
        output.write_all(text(&pdf).as_bytes())
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Gives up what is not needed, and gives the file for the answer. No file can be opened and none grows from here on,
/// no process started; time and memory are bounded.
fn confine() -> io::Result<File> {
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Libraries that print things must not print into the text.
    dup2_stdout(io::stderr())?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    for (resource, limit) in [
        (Resource::As, MEMORY_BYTES_MAX),
        (Resource::Cpu, PROCESSOR_SECONDS_MAX),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nproc, 0),
        // Those that are open stay so.
        (Resource::Nofile, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    Ok(output)
}

/// The text of all pages that can be read.
fn text(pdf: &[u8]) -> String {
    let mut text = String::new();
    let Ok(Ok(document)) = catch_unwind(|| Document::load_mem(pdf)) else { return text };
    for page in document.get_pages().into_keys().take(PAGES_MAX) {
        let mut of_page = String::new();
        // A page of which the end can't be read has its beginning.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            output_doc_page(&document, &mut PlainTextOutput::new(&mut of_page), page)
        }));
        text.push_str(&of_page);
        text.push('\n');
        if text.len() as u64 >= TEXT_BYTES_MAX {
            break;
        }
    }
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX as usize));
    text
}
