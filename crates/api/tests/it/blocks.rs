//! Blocks over HTTP, as keep clients put and get them.

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;

use crate::fixture::{Answer, Fixture, Person, answer, request};

const FOO: &str = "acbd18db4cc2f85cedef654fccc4a4d8";

impl Fixture {
    async fn block(
        &self,
        method: Method,
        person: &Person,
        path: &str,
        body: &'static str,
    ) -> Answer {
        self.exchange(request(method, path, Some(&person.token), body)).await
    }

    /// Stores a block; its signed locator.
    pub(crate) async fn stored(&self, person: &Person, bytes: &[u8]) -> String {
        let path = format!("/{}", manifest::BlockHash::of(bytes));
        let request = request(Method::PUT, &path, Some(&person.token), bytes.to_vec());
        let answer = self.exchange(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text.trim().to_owned()
    }
}

#[tokio::test]
async fn a_block_is_put_and_read_with_its_signed_locator() {
    let fixture = Fixture::new().await;
    let put = fixture.block(Method::PUT, &fixture.ada, &format!("/{FOO}"), "foo").await;
    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!(put.headers["x-keep-replicas-stored"], "1");
    assert_eq!(put.headers["x-keep-storage-classes-confirmed"], "default=1");
    let locator = put.text.strip_suffix('\n').unwrap();
    assert!(locator.starts_with(&format!("{FOO}+3+A")), "{locator}");
    for path in
        [format!("/{locator}"), format!("//{locator}"), format!("/{}", locator.replace('+', "%2B"))]
    {
        let got = fixture.block(Method::GET, &fixture.ada, &path, "").await;
        assert_eq!((got.status.as_u16(), got.text.as_str()), (200, "foo"), "{path}");
        assert_eq!(got.headers["content-length"], "3");
        assert_eq!(got.headers["x-content-type-options"], "nosniff");
    }
    let head = fixture.block(Method::HEAD, &fixture.ada, &format!("/{locator}"), "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], "3");
}

#[tokio::test]
async fn the_statuses_are_those_clients_know() {
    let fixture = Fixture::new().await;
    let locator = fixture.stored(&fixture.ada, b"foo").await;
    let get = async |person: &Person, path: &str| {
        let answer = fixture.block(Method::GET, person, path, "").await;
        (answer.status.as_u16(), answer.text)
    };
    assert_eq!(get(&fixture.bob, &format!("/{locator}")).await.0, 400, "another's signature");
    assert_eq!(get(&fixture.ada, &format!("/{FOO}+3")).await.0, 400, "no signature");
    assert_eq!(get(&fixture.ada, &format!("/{FOO}")).await.0, 405, "no size");
    assert_eq!(get(&fixture.ada, &format!("/{FOO}+x")).await.0, 400);
    let other_size = locator.replacen("+3+", "+4+", 1);
    assert_eq!(get(&fixture.ada, &format!("/{other_size}")).await.0, 404);
    assert_eq!(
        get(&fixture.ada, "/d41d8cd98f00b204e9800998ecf8427e+0").await,
        (200, String::new())
    );
    let nobody = request(Method::GET, &format!("/{locator}"), None, "");
    assert_eq!(fixture.exchange(nobody).await.status, 401);
    let put = fixture.block(Method::PUT, &fixture.ada, &format!("/{FOO}"), "bar").await;
    assert_eq!(put.status, 400, "{}", put.text);
    let post = fixture.block(Method::POST, &fixture.ada, &format!("/{FOO}"), "foo").await;
    assert_eq!(post.status, 405);
    let mut large = request(Method::PUT, &format!("/{FOO}"), Some(&fixture.ada.token), "");
    large.headers_mut().insert("content-length", "67108865".parse().unwrap());
    assert_eq!(fixture.exchange(large).await.status, 413);
    // Everything else is the API's, or a page.
    assert_eq!(get(&fixture.ada, "/arvados/v1/users/current").await.0, 200);
}

#[tokio::test]
async fn a_flipped_byte_is_an_error_that_is_not_asked_again() {
    let fixture = Fixture::new().await;
    let locator = fixture.stored(&fixture.ada, b"foo").await;
    let path = fixture.dir.path().join(&FOO[..3]).join(FOO);
    std::fs::write(&path, "fop").unwrap();
    let got = fixture.block(Method::GET, &fixture.ada, &format!("/{locator}"), "").await;
    assert_eq!(got.status, 422, "{}", got.text);
    assert!(got.text.contains("corrupt") && !got.text.contains("fop"), "{}", got.text);
}

#[tokio::test]
async fn what_is_told_of_copies_is_what_was_stored() {
    let fixture = Fixture::new().await;
    let put = async |headers: &[(&'static str, &'static str)]| {
        let mut put = request(Method::PUT, &format!("/{FOO}"), Some(&fixture.ada.token), "foo");
        for (name, value) in headers {
            put.headers_mut().insert(*name, value.parse().unwrap());
        }
        fixture.exchange(put).await
    };
    for headers in [
        &[][..],
        &[("x-keep-desired-replicas", "2")],
        &[("x-keep-desired-replicas", "1"), ("x-keep-storage-classes", "default")],
    ] {
        let answer = put(headers).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        // One volume is one copy, whatever was asked for.
        assert_eq!(answer.headers["x-keep-replicas-stored"], "1");
        assert_eq!(answer.headers["x-keep-storage-classes-confirmed"], "default=1");
    }
    let answer = put(&[("x-keep-storage-classes", "tape")]).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert!(answer.text.contains("\"tape\"") && answer.text.contains("default"), "{}", answer.text);
    let answer = put(&[("x-keep-desired-replicas", "many")]).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
}

#[tokio::test]
async fn a_block_of_64_mib_passes_in_pieces() {
    let fixture = Fixture::new().await;
    let bytes = vec![b'z'; 64 << 20];
    let locator = fixture.stored(&fixture.ada, &bytes).await;
    let response = fixture
        .send(request(Method::GET, &format!("/{locator}"), Some(&fixture.ada.token), ""))
        .await;
    assert_eq!(response.headers()["content-length"], "67108864");
    let mut body = response.into_body();
    let (mut n_bytes, mut largest) = (0, 0);
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(piece.iter().all(|byte| *byte == b'z'));
        n_bytes += piece.len();
        largest = largest.max(piece.len());
    }
    assert_eq!(n_bytes, bytes.len());
    assert!(largest <= keep::BUFFER_BYTES, "{largest}");
    let broken = Body::from_stream(futures_util::stream::iter([
        Ok(bytes::Bytes::from_static(b"half")),
        Err(std::io::Error::other("gone")),
    ]));
    let request = Request::put(format!("/{FOO}"))
        .header("authorization", format!("Bearer {}", fixture.ada.token.expose()))
        .body(broken)
        .unwrap();
    assert_eq!(answer(fixture.send(request).await).await.status, 400);
    assert_eq!(std::fs::read_dir(fixture.dir.path().join("drafts")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_one_keep_service_is_ourselves() {
    let fixture = Fixture::new().await;
    let path = "/arvados/v1/keep_services/accessible";
    let list = fixture.exchange(request(Method::GET, path, None, "")).await.ok();
    let service = &list["items"][0];
    assert_eq!(service["service_host"], "localhost");
    assert_eq!(service["service_port"], 8000);
    assert_eq!(service["service_type"], "disk");
    let path = format!("/arvados/v1/keep_services/{}", service["uuid"].as_str().unwrap());
    assert_eq!(&fixture.exchange(request(Method::GET, &path, None, "")).await.ok(), service);
}
