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
    assert_eq!((options.status.as_u16(), &options.headers["dav"]), (200, &"1".parse().unwrap()));
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
