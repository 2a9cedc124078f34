//! Calls and their errors, the same on both transports.

use std::sync::Arc;

use client::{Client, ClientError, ErrorKind, ListQuery, TlsTrust};
use http::StatusCode;
use model::ApiToken;
use tokio::sync::Notify;

use crate::api::{Server, USER, router, token};

async fn on_both(check: impl AsyncFn(Client)) {
    let server = Server::start().await;
    check(server.client()).await;
    check(Client::in_memory(router(&Arc::new(Notify::new())), token())).await;
}

#[tokio::test]
async fn a_record_is_read_with_the_token() {
    on_both(async |client| {
        assert_eq!(client.current_user().await.unwrap().uuid.as_str(), USER);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_carries_status_texts_and_request_id() {
    on_both(async |client| {
        let other = ApiToken::new(token().uuid(), "x".repeat(40));
        for client in [client.without_token(), client.with_token(&other)] {
            let error = client.current_user().await.unwrap_err();
            assert!(error.is_unauthorized());
            assert_eq!(error.kind(), ErrorKind::Client);
            assert_eq!(error.to_string(), "Not logged in; (req-123)");
            let ClientError::Api { status, errors, request_id } = error else { panic!() };
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            assert_eq!(errors, ["Not logged in", "(req-123)"]);
            assert_eq!(request_id.as_deref(), Some("req-123"));
        }
    })
    .await;
}

#[tokio::test]
async fn an_error_of_something_in_between_is_an_error_too() {
    on_both(async |client| {
        let error = client.list_tokens().await.unwrap_err();
        let words = "the server answered 502 Bad Gateway without saying why";
        assert_eq!(error.to_string(), words);
        assert_eq!(error.kind(), ErrorKind::Upstream);
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_another_kind_is_not_understood() {
    on_both(async |client| {
        let error = client.status().await.unwrap_err();
        assert!(error.to_string().contains("GET /wharf/v1/status is not understood"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn filters_arrive_as_given() {
    on_both(async |client| {
        let query = ListQuery::newest_first().filter("name", "=", "a&b").count();
        let page = client.list_requests(&query).await.unwrap();
        assert_eq!((page.items.len(), page.items_available), (0, Some(7)));
    })
    .await;
}

#[tokio::test]
async fn the_token_does_not_print() {
    on_both(async |client| {
        assert!(!format!("{client:?}").contains(token().secret()));
    })
    .await;
}

#[test]
fn what_is_no_address_of_an_api_is_refused() {
    for address in
        ["", "localhost", "localhost:8000", "ftp://h", "http://h/path", "http://u@h", "http://"]
    {
        let error = Client::http(address, token(), &TlsTrust::System).unwrap_err();
        assert!(matches!(error, ClientError::Address { .. }), "{address}: {error}");
    }
}
