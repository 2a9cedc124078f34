#![allow(clippy::needless_pass_by_value, reason = "literals read best by value")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

static OTHERS: Schema = Schema {
    table: "others",
    attributes: &[
        Attribute { name: "uuid", kind: AttributeKind::Text },
        Attribute { name: "state", kind: AttributeKind::Text },
    ],
    joins: &[],
};

static THINGS: Schema = Schema {
    table: "things",
    attributes: &[
        Attribute { name: "uuid", kind: AttributeKind::Text },
        Attribute { name: "modified_at", kind: AttributeKind::Time },
        Attribute { name: "name", kind: AttributeKind::Text },
        Attribute { name: "priority", kind: AttributeKind::Integer },
        Attribute { name: "cost", kind: AttributeKind::Float },
        Attribute { name: "service", kind: AttributeKind::Boolean },
        Attribute { name: "properties", kind: AttributeKind::Json },
    ],
    joins: &[Join { prefix: "other", via: "uuid", schema: &OTHERS }],
};

/// The scalar that an operand is read as.
#[track_caller]
fn scalar(attribute: &str, operand: Value) -> Scalar {
    let filters = parse_filters(&THINGS, &json!([[attribute, "=", operand]])).unwrap();
    match &filters[0].any_of[0].test {
        Test::Compare(Comparison::Equal, scalar) => scalar.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn operands_are_read_as_the_attribute_s_kind() {
    assert_eq!(scalar("priority", json!("30")), Scalar::Integer(30));
    assert_eq!(scalar("priority", json!(30)), Scalar::Integer(30));
    assert_eq!(scalar("priority", json!(null)), Scalar::Null);
    assert_eq!(scalar("cost", json!("1.5")), Scalar::Float(1.5));
    assert_eq!(scalar("service", json!("true")), Scalar::Boolean(true));
    assert_eq!(scalar("service", json!(0)), Scalar::Boolean(false));
    assert_eq!(scalar("name", json!(5)), Scalar::Text("5".to_owned()));
    assert_eq!(scalar("properties.k", json!(5)), Scalar::Integer(5));
    assert_eq!(scalar("properties.k", json!(true)), Scalar::Boolean(true));
    let stored = Scalar::Text("2026-11-23T20:58:45.120000000Z".to_owned());
    for spelling in
        ["2026-11-23T20:58:45.120000000Z", "2026-11-23T20:58:45.12", "2026-11-23T21:58:45.12+01:00"]
    {
        assert_eq!(scalar("modified_at", json!(spelling)), stored);
    }
}

#[test]
fn names_reach_joins_keys_and_several_attributes() {
    let parse = |attribute: Value, operator: &str, operand: Value| {
        parse_filters(&THINGS, &json!([[attribute, operator, operand]])).unwrap().remove(0).any_of
    };
    let joined = parse(json!("other.state"), "=", json!("x"));
    assert_eq!((joined[0].target.join, joined[0].target.attribute.name), (Some("other"), "state"));
    let own = parse(json!("things.name"), "=", json!("x"));
    assert_eq!((own[0].target.join, own[0].target.attribute.name), (None, "name"));
    let key = parse(json!("properties.<http://x.y/z>"), "=", json!("x"));
    assert_eq!(key[0].target.key.as_deref(), Some("http://x.y/z"));
    assert_eq!(parse(json!("any"), "ilike", json!("%x%")).len(), 3);
    assert_eq!(parse(json!("any"), "=", json!("x")).len(), 2);
    assert_eq!(parse(json!(["name", "uuid"]), "=", json!("x")).len(), 2);
    let exists = parse(json!("properties"), "exists", json!("k"));
    assert_eq!(exists, parse(json!("properties.k"), "EXISTS", json!(true)));
}

#[test]
fn every_bad_filter_says_what_is_wrong() {
    for (filters, words) in [
        (json!({}), "filters must be a list"),
        (json!(["name", "=", "x"]), "filters[0] must be [attribute, operator, operand]"),
        (json!([["name", "="]]), "filters[0] must be"),
        (json!([["name", "=", "x"], ["name", 1, "x"]]), "filters[1] has the operator 1"),
        (json!([["name", "~", "x"]]), "has the operator \"~\"; known are"),
        (json!([["color", "=", "x"]]), "names the attribute \"color\", which things do not have"),
        (json!([["other.color", "=", "x"]]), "names the attribute \"other.color\""),
        (json!([["name.key", "=", "x"]]), "names the attribute \"name.key\""),
        (json!([["properties.\"", "=", "x"]]), "names the property"),
        (json!([["properties.", "=", "x"]]), "names the property \"\""),
        (json!([["properties", "=", "x"]]), "compares properties as a whole"),
        (json!([["priority", "=", "x"]]), "compares priority with \"x\", which is not an integer"),
        (json!([["service", "=", "x"]]), "is not true or false"),
        (json!([["modified_at", ">", "yesterday"]]), "is not a time"),
        (json!([["priority", "<", null]]), "compares with null"),
        (json!([["service", "<", true]]), "orders true and false"),
        (json!([["priority", "in", 1]]), "must be a list"),
        (json!([["priority", "like", "1%"]]), "but it is no text"),
        (json!([["name", "like", 1]]), "has the pattern 1"),
        (json!([["name", "like", "%".repeat(2000)]]), "pattern of more than 1024 bytes"),
        (json!([["name", "exists", true]]), "asks name exists true"),
        (json!([["name", "contains", "x"]]), "it is no list"),
        (json!([["uuid", "is_a", "arvados#thing"]]), "asks for the kind \"arvados#thing\""),
        (json!([["any", "<", "x"]]), "which \"any\" does not take"),
        (json!([[[], "=", "x"]]), "names the attribute []"),
        (json!(vec![json!(["name", "=", "x"]); 101]), "more than 100 filters"),
    ] {
        let problem = parse_filters(&THINGS, &filters).unwrap_err().to_string();
        assert!(problem.contains(words), "{filters}: {problem}");
    }
}

#[test]
fn two_numbers_of_a_record_are_compared_in_an_expression() {
    for filter in [json!("(priority < cost)"), json!(["(priority<cost)", "=", true])] {
        let filters = parse_filters(&THINGS, &json!([filter])).unwrap();
        let condition = &filters[0].any_of[0];
        assert_eq!(condition.target.attribute.name, "priority");
        let cost = THINGS.attribute("cost").unwrap();
        assert_eq!(condition.test, Test::CompareTo(Comparison::Less, cost));
    }
    for (filter, words) in [
        (json!("(priority)"), "must be one comparison"),
        (json!("(priority < 3)"), "names \"3\""),
        (json!("(name = cost)"), "names \"name\""),
        (json!("((priority) < cost)"), "names \"(priority)\""),
        (json!("(priority <\tcost)"), "must be one comparison"),
        (json!(["(priority < cost)", "=", false]), "must be [expression, \"=\", true]"),
    ] {
        let problem = parse_filters(&THINGS, &json!([filter])).unwrap_err().to_string();
        assert!(problem.contains(words), "{filter}: {problem}");
    }
}

#[track_caller]
fn order(order: Value) -> String {
    let terms = parse_order(&THINGS, &order).unwrap();
    let text = terms.iter().map(|term| {
        format!("{} {}", term.attribute.name, if term.descending { "desc" } else { "asc" })
    });
    text.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_order_is_total() {
    assert_eq!(order(json!(null)), "modified_at desc, uuid desc");
    assert_eq!(order(json!("name")), "name asc, modified_at desc, uuid desc");
    assert_eq!(order(json!("name DESC, uuid asc")), "name desc, uuid asc");
    assert_eq!(order(json!("modified_at asc")), "modified_at asc, uuid asc");
    assert_eq!(order(json!("modified_at desc, name")), "modified_at desc, name asc, uuid desc");
    assert_eq!(order(json!(["uuid asc", "uuid asc"])), "uuid asc");
    assert_eq!(order(json!(["things.name desc"])), "name desc, modified_at desc, uuid desc");
    for bad in
        [json!("color"), json!("name up"), json!("name asc x"), json!([1]), json!("properties")]
    {
        assert!(parse_order(&THINGS, &bad).is_err(), "{bad}");
    }
}

#[test]
fn select_knows_its_attributes_and_the_two_that_are_always_there() {
    let select = |select: Value| parse_select(&THINGS, &select);
    assert_eq!(select(json!(null)).unwrap(), None);
    assert_eq!(select(json!(["name", "etag", "kind", "name"])).unwrap(), Some(vec!["name"]));
    assert!(select(json!(["color"])).unwrap_err().to_string().contains("select names \"color\""));
    assert!(select(json!("name")).is_err() && select(json!([1])).is_err());
}

proptest! {
    #[test]
    fn no_filter_makes_the_parser_panic(attribute: String, operator: String, operand: String) {
        let _any_answer = parse_filters(&THINGS, &json!([[attribute, operator, operand]]));
        let _any_answer = parse_order(&THINGS, &json!(attribute));
        let _any_answer = parse_time(&operand);
    }

    #[test]
    fn a_key_never_holds_a_quote(key: String) {
        let attribute = format!("properties.{key}");
        if let Ok(filters) = parse_filters(&THINGS, &json!([[attribute, "=", 1]])) {
            let target = &filters[0].any_of[0].target;
            prop_assert!(target.key.as_ref().is_some_and(|key| !key.contains('"')));
        }
    }
}
