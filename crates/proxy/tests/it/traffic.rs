//! What goes through is counted by port, and refusals by reason.

use model::ContainerUuid;
use proxy::PortCounted;

use crate::client::request;
use crate::world::{BOUND, CONTAINER, HOST, PUBLIC, World};

impl World {
    fn counted(&self, port: u16) -> PortCounted {
        let key = Some((ContainerUuid::parse(CONTAINER).unwrap(), port));
        let found = self.proxy.traffic().into_iter().find(|(of, _)| *of == key);
        found.map(|(_, counted)| counted).unwrap_or_default()
    }

    /// Waits for what is counted a moment after the client has its answer.
    pub(crate) async fn counted_so(
        &self,
        port: u16,
        is_so: impl Fn(&PortCounted) -> bool,
    ) -> PortCounted {
        let waiting = async {
            loop {
                let counted = self.counted(port);
                if is_so(&counted) {
                    return counted;
                }
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(BOUND, waiting).await;
        waited.unwrap_or_else(|_elapsed| panic!("{:?}", self.counted(port)))
    }
}

#[tokio::test]
async fn requests_are_counted_by_port_status_time_and_bytes() {
    let (world, _app) = World::with_echo().await;
    let posted = format!("POST / HTTP/1.1\r\nHost: {PUBLIC}\r\nContent-Length: 5\r\n\r\nhello");
    let answer = world.send(&posted).await;
    assert_eq!(answer.status, 200);
    let counted = world.counted_so(81, |it| it.n_open == 0 && it.by_class[1] == 1).await;
    assert_eq!((counted.bytes_in, counted.bytes_out), (5, answer.body.len() as u64));
    assert_eq!(counted.first_byte.buckets.iter().sum::<u64>(), 1);
    assert_eq!(counted.whole.buckets.iter().sum::<u64>(), 1);
    assert!(counted.whole.sum_us >= counted.first_byte.sum_us);
    assert_eq!(world.counted(80), PortCounted::default(), "the other port");
}

#[tokio::test]
async fn refusals_are_counted_by_reason_and_those_of_a_service_as_its_answers() {
    let (world, app) = World::with_echo().await;
    let refused = |world: &World, reason: &str| {
        let all = world.proxy.refusals();
        all.into_iter().find(|(words, _)| *words == reason).unwrap().1
    };
    assert_eq!(world.send(&request("GET", HOST, "/", "")).await.status, 403);
    let nobody = "nobody.containers.localhost";
    assert_eq!(world.send(&request("GET", nobody, "/", "")).await.status, 404);
    assert_eq!((refused(&world, "denied"), refused(&world, "not found")), (1, 1));
    assert_eq!(world.counted(80), PortCounted::default(), "nobody was let in");
    drop(app);
    assert_eq!(world.send(&request("GET", PUBLIC, "/", "")).await.status, 502);
    let counted = world.counted_so(81, |it| it.n_open == 0 && it.by_class[4] == 1).await;
    assert_eq!(counted.first_byte.buckets.iter().sum::<u64>(), 0, "no answer of the app's");
    assert_eq!(refused(&world, "the app failed"), 1);
}
