//! Uploads in parts.

use super::blobs::is_at;
use super::table::{Algorithm, Table, bytes, ending, location};

const UPLOADS: &str = "/v2/p1/img/c1/blobs/uploads/";

pub(super) async fn check(table: &mut Table, algorithm: Algorithm) {
    table.area(format!("uploads by {}", algorithm.name()));
    in_chunks(table, algorithm).await;
    streamed(table, algorithm).await;
    last_chunk_in_put(table, algorithm).await;
    nothing_in_parts(table, algorithm).await;
    wrong_in_parts(table, algorithm).await;
    cancelled(table).await;
    in_another_image(table).await;
}

async fn in_chunks(table: &mut Table, algorithm: Algorithm) {
    let content = bytes(&format!("chunks {}", algorithm.name()), 300_000);
    let mut answer = table.ask("POST", UPLOADS, &[], b"").await;
    table.row("begin", &answer, &[202]);
    for (number, chunk) in content.chunks(100_000).enumerate() {
        let first = number * 100_000;
        answer = send(table, &location(&answer), first, chunk).await;
        table.row(&format!("chunk {number}"), &answer, &[202]);
        table.header(&format!("chunk {number}"), &answer, "range", &format!("0-{}", first + chunk.len() - 1));
    }
    let asked = table.ask("GET", &location(&answer), &[], b"").await;
    table.row("how far it is", &asked, &[204]);
    table.header("how far it is", &asked, "range", "0-299999");
    let ended = table.ask("PUT", &ending(&location(&asked), &algorithm.of(&content)), &[], b"").await;
    table.row("end", &ended, &[201]);
    is_at(table, "what came in chunks", &location(&ended), &content).await;
    let again = table.ask("GET", &location(&answer), &[], b"").await;
    table.row("an upload that has ended", &again, &[404]);
}

/// Sends a chunk from `first` on.
pub(super) async fn send(table: &Table, location: &str, first: usize, chunk: &[u8]) -> crate::common::http::Answer {
    let range = format!("{first}-{}", first + chunk.len() - 1);
    table.ask("PATCH", location, &[("Content-Range", &range)], chunk).await
}

async fn streamed(table: &mut Table, algorithm: Algorithm) {
    let content = bytes(&format!("streamed {}", algorithm.name()), 200_000);
    let begun = table.ask("POST", UPLOADS, &[], b"").await;
    let mut connection = table.registry().http().connect().await;
    let chunks: Vec<&[u8]> = content.chunks(7777).collect();
    let answer = connection.request_in_chunks("PATCH", &location(&begun), &chunks).await;
    table.row("a stream of unknown length", &answer, &[202]);
    let ended = table.ask("PUT", &ending(&location(&answer), &algorithm.of(&content)), &[], b"").await;
    table.row("end of a stream", &ended, &[201]);
    is_at(table, "what was streamed", &location(&ended), &content).await;

    let begun = table.ask("POST", UPLOADS, &[], b"").await;
    let path = ending(&location(&begun), &algorithm.of(&content));
    let mut connection = table.registry().http().connect().await;
    let ended = connection.request_in_chunks("PUT", &path, &chunks).await;
    table.row("a stream that ends at once", &ended, &[201]);

    let content = bytes(&format!("whole {}", algorithm.name()), 100_000);
    let begun = table.ask("POST", UPLOADS, &[], b"").await;
    let answer = table.ask("PATCH", &location(&begun), &[], &content).await;
    table.row("all of it, without a range", &answer, &[202]);
    let ended = table.ask("PUT", &ending(&location(&answer), &algorithm.of(&content)), &[], b"").await;
    table.row("end of all of it", &ended, &[201]);
    is_at(table, "what came without a range", &location(&ended), &content).await;
}

async fn last_chunk_in_put(table: &mut Table, algorithm: Algorithm) {
    let content = bytes(&format!("last {}", algorithm.name()), 150_000);
    let begun = table.ask("POST", UPLOADS, &[], b"").await;
    let answer = send(table, &location(&begun), 0, &content[..100_000]).await;
    table.row("the first chunk", &answer, &[202]);
    let path = ending(&location(&answer), &algorithm.of(&content));
    let ended = table.ask("PUT", &path, &[("Content-Range", "100000-149999")], &content[100_000..]).await;
    table.row("the last chunk ends it", &ended, &[201]);
    is_at(table, "what came with the end", &location(&ended), &content).await;
}

async fn nothing_in_parts(table: &mut Table, algorithm: Algorithm) {
    let digest = algorithm.of(b"");
    let begun = table.ask("POST", UPLOADS, &[], b"").await;
    let answer = table.ask("PATCH", &location(&begun), &[("Content-Length", "0")], b"").await;
    table.row("a chunk of nothing", &answer, &[202]);
    let mut connection = table.registry().http().connect().await;
    let answer = connection.request_in_chunks("PATCH", &location(&answer), &[]).await;
    table.row("a stream of nothing", &answer, &[202]);
    let mut connection = table.registry().http().connect().await;
    let ended = connection.request_in_chunks("PUT", &ending(&location(&answer), &digest), &[]).await;
    table.row("an end of nothing", &ended, &[201]);
    is_at(table, "nothing", &location(&ended), b"").await;
    let begun = table.ask("POST", UPLOADS, &[], b"").await;
    let ended = table.ask("PUT", &ending(&location(&begun), &digest), &[("Content-Length", "0")], b"").await;
    table.row("nothing at once", &ended, &[201]);
}

async fn wrong_in_parts(table: &mut Table, algorithm: Algorithm) {
    let content = bytes(&format!("wrong {}", algorithm.name()), 20_000);
    let claimed = algorithm.of(b"what was not sent");
    for is_last_in_put in [false, true] {
        let begun = table.ask("POST", UPLOADS, &[], b"").await;
        let answer = send(table, &location(&begun), 0, &content[..10_000]).await;
        let ended = if is_last_in_put {
            let last = [("Content-Range", "10000-19999")];
            table.ask("PUT", &ending(&location(&answer), &claimed), &last, &content[10_000..]).await
        } else {
            let answer = send(table, &location(&answer), 10_000, &content[10_000..]).await;
            table.ask("PUT", &ending(&location(&answer), &claimed), &[("Content-Length", "0")], b"").await
        };
        table.row("a wrong digest of chunks", &ended, &[400]);
        let answer = table.ask("HEAD", &format!("/v2/p1/img/c1/blobs/{claimed}"), &[], b"").await;
        table.row("what was not sent", &answer, &[404]);
    }
}

async fn cancelled(table: &mut Table) {
    let begun = table.ask("POST", UPLOADS, &[], b"").await;
    let answer = send(table, &location(&begun), 0, b"some").await;
    table.row("a chunk of what will be given up", &answer, &[202]);
    let answer = table.ask("DELETE", &location(&answer), &[], b"").await;
    table.row("cancel", &answer, &[204]);
    for (method, path) in [
        ("GET", location(&begun)),
        ("PATCH", location(&begun)),
        ("DELETE", location(&begun)),
        ("PUT", ending(&location(&begun), &Algorithm::Sha256.of(b"some"))),
    ] {
        let answer = table.ask(method, &path, &[], b"").await;
        table.row(&format!("{method} of a cancelled upload"), &answer, &[404]);
    }
    for id in ["nonsense", "00000000-0000-0000-0000-000000000000", "%00", "..%2f..%2f"] {
        let answer = table.ask("PATCH", &format!("{UPLOADS}{id}"), &[], b"abc").await;
        table.row(&format!("upload {id:?}"), &answer, &[400, 404]);
    }
}

/// Who knows an upload of one image cannot end it in another.
async fn in_another_image(table: &mut Table) {
    let begun = table.ask("POST", UPLOADS, &[], b"").await;
    let elsewhere = location(&begun).replace("/c1/", "/c9/");
    let answer = table.ask("PATCH", &elsewhere, &[], b"abc").await;
    table.row("an upload of another image", &answer, &[404]);
}

/// Chunks that are not next.
pub(super) async fn check_order(table: &mut Table, algorithm: Algorithm) {
    table.area(format!("order of chunks by {}", algorithm.name()));
    for method in ["PATCH", "PUT"] {
        let content = bytes(&format!("order {} {method}", algorithm.name()), 30_000);
        let digest = algorithm.of(&content);
        let begun = table.ask("POST", UPLOADS, &[], b"").await;
        let path = |location: &str| if method == "PUT" { ending(location, &digest) } else { location.to_owned() };

        let early = [("Content-Range", "10000-19999")];
        let answer = table.ask(method, &path(&location(&begun)), &early, &content[10_000..20_000]).await;
        table.row(&format!("{method} of the second chunk first"), &answer, &[416]);
        let asked = table.ask("GET", &location(&begun), &[], b"").await;
        table.row("how far it is without bytes", &asked, &[204]);
        let range = asked.header("range").unwrap_or_default();
        table.holds("a range without bytes", range.starts_with("0-"), range);

        let answer = send(table, &location(&asked), 0, &content[..10_000]).await;
        table.row("the first chunk", &answer, &[202]);
        let late = [("Content-Range", "0-9999")];
        let answer = table.ask(method, &path(&location(&answer)), &late, &content[..10_000]).await;
        table.row(&format!("{method} of a chunk twice"), &answer, &[416]);
        let far = [("Content-Range", "20000-29999")];
        let answer = table.ask(method, &path(&location(&asked)), &far, &content[20_000..]).await;
        table.row(&format!("{method} of a chunk too far"), &answer, &[416]);

        let asked = table.ask("GET", &location(&asked), &[], b"").await;
        table.row("how far it is", &asked, &[204]);
        table.header("how far it is", &asked, "range", "0-9999");
        table.holds("where to go on", asked.header("location").is_some(), "no location");
        let answer = send(table, &location(&asked), 10_000, &content[10_000..20_000]).await;
        table.row("it goes on", &answer, &[202]);
        let last = [("Content-Range", "20000-29999")];
        let ended = table.ask("PUT", &ending(&location(&answer), &digest), &last, &content[20_000..]).await;
        table.row("it ends", &ended, &[201]);
        is_at(table, "what went wrong first", &location(&ended), &content).await;
    }
    let begun = table.ask("POST", UPLOADS, &[], b"").await;
    for range in ["nonsense", "5-", "9-5", "-1-3", "0-99999999999999999999", "0-1"] {
        let answer = table.ask("PATCH", &location(&begun), &[("Content-Range", range)], b"abc").await;
        table.row(&format!("range {range:?} of three bytes"), &answer, &[400, 416]);
    }
}
