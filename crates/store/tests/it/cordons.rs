//! Machines that take no new containers.

use store::{ChangeKind, Notice};

use crate::fixture::Fixture;

#[tokio::test]
async fn a_cordon_stays_as_it_was_set_first_until_it_is_lifted_and_others_hear_of_both() {
    let fixture = Fixture::new().await;
    let (store, ada, bob) = (&fixture.store, fixture.ada.uuid, fixture.bob.uuid);
    let mut changes = store.changes();
    assert_eq!(store.cordon_of("pier-1").await.unwrap(), None);
    let set = store.cordon("pier-1", ada).await.unwrap();
    assert_eq!(set.by_user_uuid, ada);
    assert_eq!(store.cordon("pier-1", bob).await.unwrap(), set);
    assert_eq!(store.cordon_of("pier-1").await.unwrap(), Some(set));
    assert_eq!(store.cordon_of("pier-2").await.unwrap(), None);
    assert!(!store.uncordon("pier-2", bob).await.unwrap());
    assert!(store.uncordon("pier-1", bob).await.unwrap());
    assert!(!store.uncordon("pier-1", bob).await.unwrap());
    assert_eq!(store.cordon_of("pier-1").await.unwrap(), None);
    for _told in ["set", "lifted"] {
        let Some(Notice::Changed(change)) = changes.next().await else { panic!("no change") };
        assert_eq!((change.kind, change.uuid.as_str()), (ChangeKind::Node, "pier-1"));
    }
}
