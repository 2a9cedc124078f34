use serde_json::json;

use super::*;
use crate::service::tests::{REQUEST, service};

#[test]
fn what_is_typed_is_taken_for_what_it_looks_like() {
    let check = |id: &str, form: Form| assert_eq!(form_of(id), form, "{id}");
    let container = "wharf-dz642-0123456789abcde";
    check(REQUEST, Form::Request(RequestUuid::parse(REQUEST).unwrap()));
    check(container, Form::Container(ContainerUuid::parse(container).unwrap()));
    check("wharf-tpzed-0123456789abcde", Form::OtherUuid);
    check("wharf-xvhdp-012", Form::Prefix("uuid", "wharf-xvhdp-012".into()));
    check("wharf-xvhdp-", Form::Prefix("uuid", "wharf-xvhdp-".into()));
    check("wharf-dz642-0", Form::Prefix("container_uuid", "wharf-dz642-0".into()));
    for word in ["lab", "012", "wharf-xvhdp", "My lab", "wharf-xvhdp-A", "%", "ü", ""] {
        check(word, Form::Word);
    }
}

#[test]
fn one_match_is_found_and_the_same_one_twice_is_one() {
    let one = || service(&json!({}), None);
    assert_eq!(choose("lab", vec![one()]).unwrap().request.uuid.as_str(), REQUEST);
    assert_eq!(choose("lab", vec![one(), one()]).unwrap().request.uuid.as_str(), REQUEST);
}

#[test]
fn no_match_says_where_to_look() {
    let error = choose("lab", vec![]).unwrap_err().to_string();
    assert_eq!(error, "there is no service \"lab\"; `wharf ps -a` lists them all");
}

#[test]
fn the_only_one_alive_is_meant() {
    let old = service(&json!({"uuid": "wharf-xvhdp-aaaaaaaaaaaaaaa", "state": "Final"}), None);
    let found = choose("lab", vec![old.clone(), service(&json!({}), None), old]).unwrap();
    assert_eq!(found.request.uuid.as_str(), REQUEST);
}

#[test]
fn several_matches_are_listed_newest_first() {
    let newer = json!({
        "uuid": "wharf-xvhdp-bbbbbbbbbbbbbbb", "created_at": "2026-11-23T21:00:00Z", "name": ""
    });
    let services = vec![service(&json!({}), None), service(&newer, None)];
    let error = choose("lab", services).unwrap_err().to_string();
    assert_eq!(
        error,
        "\"lab\" means several: bbbbbbbbbbbbbbb (queued), \
         0123456789abcde (lab, queued); use one of these identifiers"
    );
}
