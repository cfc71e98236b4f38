//! The console in the browser: the files that `ui/` was bundled to, found by path. It knows nothing of HTTP beyond what
//! a file's answer needs, and nothing of Sterna.

/// The folder of the console, and the page that all of its paths lead to: it routes by itself.
const CONSOLE: &str = "admin/";
const ENTRY: &str = "admin/index.html";

/// What is sent when a browser may keep a file for ever: its name has a hash of its content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// What is sent for the rest: it may be kept, and is asked for each time.
const ASK_AGAIN: &str = "no-cache";

/// What pages of the console may do: nothing from elsewhere, nothing inline, in nobody's frame.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

/// A file as it was bundled.
struct File {
    path: &'static str,
    etag: &'static str,
    bytes: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// How a body is compressed (`Content-Encoding`, RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
}

impl Coding {
    /// The value of `Content-Encoding`, if there is to be one.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Gzip => Some("gzip"),
            Coding::Brotli => Some("br"),
        }
    }
}

/// An answer to GET.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The body, compressed as `coding` says.
    pub bytes: &'static [u8],
    /// How it is compressed.
    pub coding: Coding,
    /// `Content-Type`.
    pub media_type: &'static str,
    /// `ETag`, with its quotes; a weak one, because all codings have the same.
    pub etag: &'static str,
    /// `Cache-Control`.
    pub cache_control: &'static str,
}

/// The file for a path such as `/admin/people/users`, in the best coding that the client takes (`Accept-Encoding`).
/// Paths of the console that name no file lead to its page. `None` is a file that isn't there, or another path.
pub fn asset(path: &str, accept_encoding: &str) -> Option<Asset> {
    let path = path.trim_start_matches('/');
    let file = match FILES.iter().find(|file| file.path == path) {
        Some(file) => file,
        // A name with a dot in it is a file's: of another version, most likely. Names in the console's own paths have
        // some, too, but are never directly below it.
        None if path.strip_prefix(CONSOLE).is_some_and(|rest| !rest.contains('/') && rest.contains('.')) => {
            return None;
        }
        None if path.starts_with(CONSOLE) || path == CONSOLE.trim_end_matches('/') => entry()?,
        None => return None,
    };
    let (bytes, coding) = best(file, accept_encoding);
    Some(Asset {
        bytes,
        coding,
        media_type: media_type(file.path),
        etag: file.etag,
        cache_control: if is_hashed(file.path) { FOR_EVER } else { ASK_AGAIN },
    })
}

fn entry() -> Option<&'static File> {
    FILES.iter().find(|file| file.path == ENTRY)
}

fn best(file: &'static File, accept_encoding: &str) -> (&'static [u8], Coding) {
    match (file.brotli, file.gzip) {
        (Some(bytes), _) if takes(accept_encoding, "br") => (bytes, Coding::Brotli),
        (_, Some(bytes)) if takes(accept_encoding, "gzip") => (bytes, Coding::Gzip),
        _ => (file.bytes, Coding::Identity),
    }
}

/// Whether a coding is named and not refused (`q=0`). `*` is left aside: nobody needs it who can say what they take.
fn takes(accept_encoding: &str, coding: &str) -> bool {
    accept_encoding.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let refused = |part: &str| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.and_then(|weight| weight.parse::<f32>().ok()).is_some_and(|weight| weight <= 0.0)
        };
        is_named && !parts.any(refused)
    })
}

/// Whether the name has a hash of the content: the bundler writes `NAME-HASH.EXT`, with eight letters and digits.
fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let hash = name.split('.').next().and_then(|stem| stem.rsplit_once('-')).map(|(_, hash)| hash);
    hash.is_some_and(|hash| {
        hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_console_lead_to_its_page_and_files_to_themselves() {
        let page = asset("/admin/", "").unwrap();
        assert_eq!(page.media_type, "text/html; charset=utf-8");
        assert_eq!(page.cache_control, ASK_AGAIN);
        for path in ["/admin", "/admin/people/users", "/admin/domains/example.org", "/admin/settings/mail.networks"] {
            assert_eq!(asset(path, "").unwrap().etag, page.etag, "{path}");
        }
        for path in ["/", "/administrator", "/admin/gone-AAAAAAAA.js", "/admin/favicon.ico", "/other"] {
            assert!(asset(path, "").is_none(), "{path}");
        }
    }

    #[test]
    fn the_page_names_files_that_are_there_and_good_for_ever() {
        let page = String::from_utf8_lossy(asset("/admin/", "").unwrap().bytes);
        let names = page.split('"').filter(|text| text.starts_with("/admin/"));
        for name in names {
            let file = asset(name, "").unwrap_or_else(|| panic!("{name} is not there"));
            let wants_hash = name.ends_with(".js") || name.ends_with(".css");
            assert_eq!(file.cache_control == FOR_EVER, wants_hash, "{name}");
        }
    }

    #[test]
    fn what_is_compressed_is_sent_to_those_who_take_it() {
        let Some(file) = FILES.iter().find(|file| file.brotli.is_some() && file.gzip.is_some()) else { return };
        let coding = |accept: &str| asset(file.path, accept).unwrap().coding;
        assert_eq!(coding("gzip, deflate, br, zstd"), Coding::Brotli);
        assert_eq!(coding("gzip, br;q=0"), Coding::Gzip);
        assert_eq!(coding("gzip; q=0.5"), Coding::Gzip);
        assert_eq!(coding("GZIP;q=0"), Coding::Identity);
        assert_eq!(coding(""), Coding::Identity);
        assert_eq!(coding("brotli"), Coding::Identity);
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        for hashed in ["admin/admin-3KQ7XMA2.js", "admin/chunk-AAAA2222.js.map"] {
            assert!(is_hashed(hashed), "{hashed}");
        }
        for other in ["admin/index.html", "admin/icon.svg", "admin/well-known.txt", "admin/admin-abcdefgh.js"] {
            assert!(!is_hashed(other), "{other}");
        }
    }
}
