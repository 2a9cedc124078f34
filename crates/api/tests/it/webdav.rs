//! Files of collections by WebDAV.

use http::{Method, Request};
use serde_json::Value;

use crate::fixture::{Answer, Fixture, Person, request};

impl Fixture {
    async fn dav(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = request(method, path, Some(&self.ada.token), body);
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        self.exchange(request).await
    }

    async fn two_files(&self, person: &Person) -> (String, String) {
        let locator = self.stored(person, b"0123456789").await;
        let manifest = format!(". {locator} 0:10:ten.txt\n./sub\\040dir {locator} 2:3:three\n");
        let body = serde_json::json!({"name": "files", "manifest_text": manifest});
        let made = self.post(person, "/arvados/v1/collections", body).await.ok();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("uuid"), text("portable_data_hash"))
    }
}

#[tokio::test]
async fn files_are_read_whole_and_in_part() {
    let fixture = Fixture::new().await;
    let (uuid, hash) = fixture.two_files(&fixture.ada).await;
    for root in [
        format!("/c={uuid}"),
        format!("/c%3D{uuid}"),
        format!("/collections/{uuid}"),
        format!("/by_id/{hash}"),
        format!("/c={}", hash.replace('+', "-")),
    ] {
        let got = fixture.dav("GET", &format!("{root}/ten.txt"), &[], "").await;
        assert_eq!((got.status.as_u16(), got.text.as_str()), (200, "0123456789"), "{root}");
        assert_eq!(got.headers["content-type"], "text/plain; charset=utf-8");
        assert!(got.headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
    }
    let path = format!("/c={uuid}/sub%20dir/three");
    let got = fixture.dav("GET", &path, &[], "").await;
    assert_eq!(got.text, "234");
    let etag = got.headers["etag"].to_str().unwrap().to_owned();
    let same = fixture.dav("GET", &path, &[("if-none-match", &etag)], "").await;
    assert_eq!((same.status.as_u16(), same.text.as_str()), (304, ""));
    let part = fixture.dav("GET", &path, &[("range", "bytes=1-")], "").await;
    assert_eq!((part.status.as_u16(), part.text.as_str()), (206, "34"));
    assert_eq!(part.headers["content-range"], "bytes 1-2/3");
    let beyond = fixture.dav("GET", &path, &[("range", "bytes=3-")], "").await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.headers["content-range"], "bytes */3");
    let head = fixture.dav("HEAD", &path, &[], "").await;
    assert_eq!((&head.headers["content-length"], head.text.as_str()), (&"3".parse().unwrap(), ""));
    assert_eq!(fixture.dav("GET", &format!("/c={uuid}/nothing"), &[], "").await.status, 404);
    assert_eq!(
        fixture.dav("GET", &format!("/c={uuid}/"), &[], "").await.text,
        "sub dir/\nten.txt\n"
    );
}

#[tokio::test]
async fn directories_are_listed_as_workbench_reads_them() {
    let fixture = Fixture::new().await;
    let (uuid, _) = fixture.two_files(&fixture.ada).await;
    let root = format!("/c%3D{uuid}");
    let all = fixture.dav("PROPFIND", &root, &[], "").await;
    assert_eq!(all.status, 207);
    assert!(all.headers["access-control-allow-methods"].to_str().unwrap().contains("PROPFIND"));
    assert!(
        all.headers["access-control-allow-headers"].to_str().unwrap().contains("Cache-Control")
    );
    for part in [
        format!("<D:response><D:href>{root}/</D:href>"),
        format!("<D:href>{root}/ten.txt</D:href>"),
        format!("<D:href>{root}/sub%20dir/</D:href>"),
        format!("<D:href>{root}/sub%20dir/three</D:href>"),
        "<D:displayname>three</D:displayname>".to_owned(),
        "<D:getcontentlength>10</D:getcontentlength>".to_owned(),
    ] {
        assert!(all.text.contains(&part), "{part} in {}", all.text);
    }
    let count = |answer: &Answer| answer.text.matches("<D:response>").count();
    assert_eq!(count(&all), 4);
    assert_eq!(count(&fixture.dav("PROPFIND", &root, &[("depth", "1")], "").await), 3);
    assert_eq!(count(&fixture.dav("PROPFIND", &root, &[("depth", "0")], "").await), 1);
    let options = Request::options(format!("{root}/x")).body(axum::body::Body::empty()).unwrap();
    let options = fixture.exchange(options).await;
    assert_eq!((options.status.as_u16(), &options.headers["dav"]), (200, &"1, 2".parse().unwrap()));
}

#[tokio::test]
async fn nobody_reads_without_a_token_that_may() {
    let fixture = Fixture::new().await;
    let (uuid, hash) = fixture.two_files(&fixture.ada).await;
    for id in [&uuid, &hash] {
        let path = format!("/c={id}/ten.txt");
        let nobody = fixture.exchange(request(Method::GET, &path, None, "")).await;
        assert_eq!(nobody.status, 401);
        assert!(nobody.headers.contains_key("www-authenticate"));
        let bob = fixture.exchange(request(Method::GET, &path, Some(&fixture.bob.token), "")).await;
        assert_eq!(bob.status, 404);
    }
}

#[tokio::test]
async fn files_are_written_moved_and_deleted() {
    let fixture = Fixture::new().await;
    let (uuid, hash) = fixture.two_files(&fixture.ada).await;
    let at = |path: &str| format!("/c={uuid}/{path}");
    let status = async |method: &str, path: &str, headers: &[(&str, &str)], body: &'static str| {
        fixture.dav(method, path, headers, body).await.status.as_u16()
    };
    assert_eq!(status("PUT", &at("new.txt"), &[], "new").await, 201);
    assert_eq!(status("PUT", &at("new.txt"), &[], "newer").await, 204);
    assert_eq!(fixture.dav("GET", &at("new.txt"), &[], "").await.text, "newer");
    assert_eq!(status("PUT", &at("no/where.txt"), &[], "x").await, 409);
    assert_eq!(status("PUT", &at("sub%20dir"), &[], "x").await, 405);
    assert_eq!(status("PUT", &at("../out"), &[], "x").await, 400);
    assert_eq!(status("MKCOL", &at("made"), &[], "").await, 201);
    assert_eq!(status("MKCOL", &at("made"), &[], "").await, 405);
    let to = [("destination", &*format!("http://localhost:8000{}", at("made/moved.txt")))];
    assert_eq!(status("MOVE", &at("new.txt"), &to, "").await, 201);
    assert_eq!(status("GET", &at("new.txt"), &[], "").await, 404);
    let careful = [to[0], ("overwrite", "F")];
    assert_eq!(status("COPY", &at("ten.txt"), &careful, "").await, 412);
    assert_eq!(status("COPY", &at("ten.txt"), &to, "").await, 204);
    assert_eq!(fixture.dav("GET", &at("made/moved.txt"), &[], "").await.text, "0123456789");
    let inside = [("destination", &*at("made/deeper"))];
    assert_eq!(status("MOVE", &at("made"), &inside, "").await, 403);
    assert_eq!(status("DELETE", &at("made"), &[], "").await, 204);
    assert_eq!(status("DELETE", &at("made"), &[], "").await, 404);
    assert_eq!(status("DELETE", &at(""), &[], "").await, 403);
    assert_eq!(status("PUT", &format!("/c={hash}/x"), &[], "x").await, 405);
    let record = fixture.get(&fixture.ada, &format!("/arvados/v1/collections/{uuid}")).await.ok();
    assert_eq!(record["file_count"], Value::from(2));
}

const EXCLUSIVE: &str = "<lockinfo xmlns=\"DAV:\"><lockscope><exclusive/></lockscope>\
    <locktype><write/></locktype><owner>ada</owner></lockinfo>";

#[tokio::test]
async fn what_is_locked_changes_by_its_token_alone() {
    let fixture = Fixture::new().await;
    let (uuid, _) = fixture.two_files(&fixture.ada).await;
    let path = format!("/c={uuid}/ten.txt");
    let locked = fixture.dav("LOCK", &path, &[("timeout", "Second-60")], EXCLUSIVE).await;
    assert_eq!(locked.status, 200, "{}", locked.text);
    assert!(locked.text.contains("<D:owner>ada</D:owner>"), "{}", locked.text);
    let token = locked.headers["lock-token"].to_str().unwrap().to_owned();
    assert!(token.starts_with("<opaquelocktoken:"), "{token}");
    for (method, headers) in [
        ("PUT", &[][..]),
        ("DELETE", &[]),
        ("PUT", &[("if", "(<opaquelocktoken:0>)(Not <DAV:no-lock>)")]),
        ("MOVE", &[("destination", "http://x/elsewhere")]),
    ] {
        let status = fixture.dav(method, &path, headers, "").await.status.as_u16();
        // What is wrong with a destination is told first.
        assert!([423, 400].contains(&status), "{method}: {status}");
    }
    assert_eq!(fixture.dav("LOCK", &path, &[], EXCLUSIVE).await.status, 423);
    // Below a whole collection that is to go, too.
    let shown = format!("({token})");
    let found = fixture.dav("PROPFIND", &path, &[("depth", "0")], "").await;
    assert!(found.text.contains(token.trim_matches(['<', '>'])), "{}", found.text);
    let wrong = format!("({token} [\"another\"])");
    assert_eq!(fixture.dav("PUT", &path, &[("if", &wrong)], "new").await.status, 412);
    assert_eq!(fixture.dav("PUT", &path, &[("if", "(nonsense")], "new").await.status, 400);
    assert_eq!(fixture.dav("PUT", &path, &[("if", &shown)], "new").await.status, 204);
    let again = fixture.dav("LOCK", &path, &[("if", &shown)], "").await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(fixture.dav("UNLOCK", &path, &[("lock-token", "<x>")], "").await.status, 409);
    assert_eq!(fixture.dav("UNLOCK", &path, &[("lock-token", &token)], "").await.status, 204);
    assert_eq!(fixture.dav("PUT", &path, &[], "free").await.status, 204);
    // What is not there is made, so that nobody else makes it; what cannot be is not locked.
    let fresh = format!("/c={uuid}/fresh");
    assert_eq!(fixture.dav("LOCK", &fresh, &[], EXCLUSIVE).await.status, 201);
    assert_eq!(fixture.dav("GET", &fresh, &[], "").await.text, "");
    let nowhere = format!("/c={uuid}/no/where");
    assert_eq!(fixture.dav("LOCK", &nowhere, &[], EXCLUSIVE).await.status, 409);
    assert_eq!(fixture.dav("LOCK", &path, &[], "<lockinfo/>").await.status, 400);
    let options = fixture.dav("OPTIONS", &path, &[], "").await;
    assert_eq!(options.headers["dav"], "1, 2");
}

#[tokio::test]
async fn properties_are_told_as_they_are_asked_for() {
    let fixture = Fixture::new().await;
    let (uuid, _) = fixture.two_files(&fixture.ada).await;
    let path = format!("/c={uuid}/ten.txt");
    let chosen = "<propfind xmlns=\"DAV:\"><prop><getcontentlength/><quota/>\
        <colour xmlns=\"urn:x\"/></prop></propfind>";
    let told = fixture.dav("PROPFIND", &path, &[("depth", "0")], chosen).await;
    assert_eq!(told.status, 207, "{}", told.text);
    let (found, missing) = told.text.split_once("200 OK").unwrap();
    assert!(found.contains("<D:getcontentlength>10</D:getcontentlength>"), "{found}");
    assert!(!told.text.contains("getetag"), "{}", told.text);
    assert!(missing.contains("<colour xmlns=\"urn:x\"/>"), "{missing}");
    assert!(missing.contains("<quota xmlns=\"DAV:\"/>") && missing.contains("404"), "{missing}");
    let names = "<propfind xmlns=\"DAV:\"><propname/></propfind>";
    let told = fixture.dav("PROPFIND", &path, &[("depth", "0")], names).await;
    assert!(told.text.contains("<D:getcontentlength></D:getcontentlength>"), "{}", told.text);
    for nonsense in
        ["<propfind", "<x/>", "<!DOCTYPE x><propfind xmlns=\"DAV:\"><allprop/></propfind>"]
    {
        let told = fixture.dav("PROPFIND", &path, &[("depth", "0")], nonsense).await;
        assert_eq!(told.status, 400, "{nonsense}");
    }
    let change = "<propertyupdate xmlns=\"DAV:\"><set><prop><colour xmlns=\"urn:x\">red</colour>\
        </prop></set></propertyupdate>";
    let told = fixture.dav("PROPPATCH", &path, &[], change).await;
    assert_eq!(told.status, 207, "{}", told.text);
    assert!(told.text.contains("403 Forbidden"), "{}", told.text);
}
