//! Style and script of the pages, in the program itself. The console takes `tokens.css` and `base.css` from here, too.

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};

/// Name, type and content.
const FILES: [(&str, &str, &str); 5] = [
    ("tokens.css", "text/css; charset=utf-8", include_str!("../assets/tokens.css")),
    ("base.css", "text/css; charset=utf-8", include_str!("../assets/base.css")),
    ("setup.css", "text/css; charset=utf-8", include_str!("../assets/setup.css")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ("setup.js", "text/javascript; charset=utf-8", include_str!("../assets/setup.js")),
];

/// Where they are. Their tag is in the address: a browser keeps them, and asks for others after an update.
const FOLDER: &str = "/setup/assets";

/// The routes.
pub fn router() -> Router {
    Router::new().route("/setup/assets/{tag}/{name}", get(serve))
}

/// The address of a file.
pub fn address(name: &str) -> String {
    let content = FILES.iter().find(|(known, _, _)| *known == name).map_or("", |(_, _, content)| content);
    format!("{FOLDER}/{}/{name}", tag(content))
}

fn tag(content: &str) -> String {
    blake3::hash(content.as_bytes()).to_hex()[..16].to_owned()
}

async fn serve(Path((asked, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some((_, kind, content)) = FILES.iter().find(|(known, _, _)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = tag(content);
    // Somebody with a page of another version gets what there is, and does not keep it under the other's name.
    let kept = if asked == tag { "public, max-age=31536000, immutable" } else { "no-store" };
    let tag = format!("\"{tag}\"");
    let own = [
        (header::CACHE_CONTROL, kept),
        (header::ETAG, tag.as_str()),
        (header::CONTENT_TYPE, *kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, own).into_response();
    }
    (own, *content).into_response()
}
