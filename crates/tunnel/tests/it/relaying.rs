//! A stream relayed to a socket, as the supervisor does with an app's port.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tunnel::{
    CloseReason, Incoming, Limits, Relayed, Role, Stream, StreamKind, Tunnel, relay, start,
};

use crate::ends::bounded;

struct Relaying {
    stream: Stream,
    app: UnixStream,
    relay: JoinHandle<std::io::Result<Relayed>>,
    _ends: (Tunnel, Incoming, Tunnel, Incoming, [JoinHandle<CloseReason>; 2]),
}

/// A stream at one end of a tunnel, and at the other a relay to an app's socket.
async fn relaying() -> Relaying {
    let (near, far) = UnixStream::pair().unwrap();
    let (controller, near_in, near_driver) =
        start(BufReader::new(near), Role::Controller, Limits::controller());
    let (supervisor, mut far_in, far_driver) =
        start(BufReader::new(far), Role::Supervisor, Limits::supervisor());
    let drivers = [tokio::spawn(near_driver), tokio::spawn(far_driver)];
    let (opened, request) =
        bounded(async { tokio::join!(controller.open(StreamKind::App(80)), accept(&mut far_in)) })
            .await;
    let (app, socket) = UnixStream::pair().unwrap();
    let relay = tokio::spawn(relay(request, socket));
    let ends = (controller, near_in, supervisor, far_in, drivers);
    Relaying { stream: opened.unwrap(), app, relay, _ends: ends }
}

async fn accept(incoming: &mut Incoming) -> Stream {
    incoming.next().await.unwrap().accept()
}

#[tokio::test]
async fn bulk_passes_both_ways_at_the_same_time() {
    let Relaying { stream, app, relay, _ends } = relaying().await;
    let bytes: Vec<u8> =
        (0..3_000_000_u32).map(|at| at.wrapping_mul(77).to_le_bytes()[1]).collect();
    let (mut stream_in, mut stream_out) = tokio::io::split(stream);
    let (mut app_in, mut app_out) = app.into_split();
    let (mut at_app, mut at_stream) = (Vec::new(), Vec::new());
    let both = async {
        tokio::try_join!(
            async {
                stream_out.write_all(&bytes).await?;
                stream_out.shutdown().await
            },
            async {
                app_out.write_all(&bytes[1000..]).await?;
                app_out.shutdown().await
            },
            async { app_in.read_to_end(&mut at_app).await },
            async { stream_in.read_to_end(&mut at_stream).await },
        )
    };
    bounded(both).await.unwrap();
    assert!(at_app == bytes, "to the app");
    assert!(at_stream == bytes[1000..], "from the app");
    let relayed = bounded(relay).await.unwrap().unwrap();
    assert_eq!(relayed, Relayed { sent: 2_999_000, received: 3_000_000 });
}

#[tokio::test]
async fn half_close_passes_in_each_direction() {
    let Relaying { mut stream, mut app, relay, _ends } = relaying().await;
    stream.write_all(b"request").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut request = Vec::new();
    bounded(app.read_to_end(&mut request)).await.unwrap();
    assert_eq!(request, b"request");
    app.write_all(b"reply").await.unwrap();
    drop(app);
    let mut reply = Vec::new();
    bounded(stream.read_to_end(&mut reply)).await.unwrap();
    assert_eq!(reply, b"reply");
    bounded(relay).await.unwrap().unwrap();
}

#[tokio::test]
async fn dropped_stream_closes_the_socket_though_the_app_is_silent() {
    for finish_first in [false, true] {
        let Relaying { mut stream, mut app, relay, _ends } = relaying().await;
        if finish_first {
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            bounded(app.read_to_end(&mut rest)).await.unwrap();
        }
        drop(stream);
        let error = bounded(relay).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(bounded(app.read(&mut [0])).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn stalled_app_holds_the_sender_back() {
    let Relaying { mut stream, mut app, relay, _ends } = relaying().await;
    let sent = async {
        let mut sent = 0_usize;
        let piece = vec![0; 64 * 1024];
        // The app reads nothing: sooner or later the writer waits.
        while let Ok(n) =
            tokio::time::timeout(std::time::Duration::from_millis(200), stream.write(&piece)).await
        {
            sent += n.unwrap();
        }
        sent
    };
    let sent = bounded(sent).await;
    assert!(sent < 4 * 1024 * 1024, "{sent}");
    let mut got = vec![0; sent];
    bounded(app.read_exact(&mut got)).await.unwrap();
    drop((stream, app));
    bounded(relay).await.unwrap().ok();
}
