//! People of a provider and their accounts.

use store::{Admission, Admitted, NewUser, StoreError};

use crate::fixture::Fixture;

fn person(subject: &str, email: &str) -> Admission {
    Admission {
        issuer: "https://id.example.com".to_owned(),
        subject: subject.to_owned(),
        links_by_email: false,
        new: Some(NewUser {
            username: "eve".to_owned(),
            email: email.to_owned(),
            is_active: true,
            ..NewUser::default()
        }),
        email: email.to_owned(),
    }
}

#[tokio::test]
async fn a_person_has_one_account_however_often_they_come() {
    let fixture = Fixture::new().await;
    let Admitted::Made(made) = fixture.store.admit(person("1", "eve@x")).await.unwrap() else {
        panic!("not made")
    };
    // Another address by now, and no account would be made any more.
    let again = Admission { new: None, ..person("1", "new@x") };
    assert_eq!(fixture.store.admit(again).await.unwrap(), Admitted::Known(made));
}

#[tokio::test]
async fn the_subject_says_who_it_is_and_not_the_address_or_another_provider() {
    let fixture = Fixture::new().await;
    let Admitted::Made(first) = fixture.store.admit(person("1", "eve@x")).await.unwrap() else {
        panic!("not made")
    };
    let elsewhere = Admission { issuer: "https://evil.example".to_owned(), ..person("1", "eve@x") };
    for other in [person("2", "eve@x"), elsewhere] {
        let Admitted::Made(second) = fixture.store.admit(other).await.unwrap() else {
            panic!("not made")
        };
        assert_ne!(second.uuid, first.uuid);
        assert!(second.username.starts_with("eve") && second.username != "eve");
    }
}

#[tokio::test]
async fn names_that_are_taken_get_a_number() {
    let fixture = Fixture::new().await;
    let mut names = Vec::new();
    for subject in ["1", "2", "3"] {
        let Admitted::Made(user) = fixture.store.admit(person(subject, "")).await.unwrap() else {
            panic!("not made")
        };
        names.push(user.username);
    }
    assert_eq!(names, ["eve", "eve2", "eve3"]);
}

#[tokio::test]
async fn an_account_is_linked_by_an_address_once_and_only_where_that_is_wanted() {
    let fixture = Fixture::new().await;
    let before = NewUser {
        username: "grace".to_owned(),
        email: "Grace@X".to_owned(),
        is_active: true,
        ..NewUser::default()
    };
    let grace = fixture.store.create_user(before).await.unwrap();
    let come = |subject: &str, links_by_email| Admission {
        links_by_email,
        new: None,
        ..person(subject, "grace@x")
    };
    let admit = async |admission| fixture.store.admit(admission).await.unwrap();
    assert_eq!(admit(come("7", false)).await, Admitted::Unknown);
    assert_eq!(admit(come("7", true)).await, Admitted::Linked(grace.clone()));
    assert_eq!(admit(come("7", false)).await, Admitted::Known(grace));
    // The provider gave the same address to another one later.
    assert_eq!(admit(come("8", true)).await, Admitted::Unknown);
    let nameless = Admission { email: String::new(), ..come("9", true) };
    assert_eq!(admit(nameless).await, Admitted::Unknown);
}

#[tokio::test]
async fn what_was_forgotten_is_somebody_new() {
    let fixture = Fixture::new().await;
    let Admitted::Made(first) = fixture.store.admit(person("1", "eve@x")).await.unwrap() else {
        panic!("not made")
    };
    let found = fixture.store.identities_of(first.uuid).await.unwrap();
    assert_eq!((found.len(), found[0].subject.as_str()), (1, "1"));
    assert_eq!(fixture.store.forget_identities(first.uuid).await.unwrap(), 1);
    assert_eq!(fixture.store.forget_identities(first.uuid).await.unwrap(), 0);
    assert!(fixture.store.identities_of(first.uuid).await.unwrap().is_empty());
    let again = fixture.store.admit(person("1", "eve@x")).await.unwrap();
    assert!(matches!(again, Admitted::Made(second) if second.uuid != first.uuid));
}

#[tokio::test]
async fn an_address_of_two_accounts_links_to_neither() {
    let fixture = Fixture::new().await;
    for name in ["one", "two"] {
        let email = "shared@x".to_owned();
        let new = NewUser { username: name.to_owned(), email, ..NewUser::default() };
        fixture.store.create_user(new).await.unwrap();
    }
    let admission = Admission { links_by_email: true, new: None, ..person("1", "shared@x") };
    assert_eq!(fixture.store.admit(admission).await.unwrap(), Admitted::Unknown);
}

#[tokio::test]
async fn two_windows_at_once_make_one_account() {
    let fixture = Fixture::new().await;
    let both =
        tokio::join!(fixture.store.admit(person("1", "")), fixture.store.admit(person("1", "")));
    let uuid = |admitted: Result<Admitted, StoreError>| match admitted.unwrap() {
        Admitted::Made(user) | Admitted::Known(user) => user.uuid,
        other => panic!("{other:?}"),
    };
    assert_eq!(uuid(both.0), uuid(both.1));
}

#[tokio::test]
async fn whether_anybody_has_a_password_is_known() {
    let fixture = Fixture::new().await;
    assert!(!fixture.store.has_passwords().await.unwrap());
    let ada = fixture.ada.clone();
    fixture.store.set_password_hash(ada.uuid, Some("hash".to_owned())).await.unwrap();
    assert!(fixture.store.has_passwords().await.unwrap());
    let mut inactive = ada.clone();
    inactive.is_active = false;
    fixture.store.update_user(ada.clone(), inactive, ada.uuid).await.unwrap();
    assert!(!fixture.store.has_passwords().await.unwrap());
}
