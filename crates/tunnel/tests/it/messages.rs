//! How fast small messages and bulk go; ignored, as a benchmark fails nobody's build.
//!
//! `cargo test --release -p tunnel -- --ignored --nocapture` prints the figures.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::ends::{ECHO, SOURCE, over_tcp, over_unix};

#[tokio::test]
#[ignore = "prints figures, checks nothing"]
async fn echoes_per_second() {
    for streams in [1, 16, 64] {
        for tcp in [false, true] {
            let ends = if tcp { over_tcp().await } else { over_unix().await };
            let each = 200_000 / streams;
            let mut tasks = JoinSet::new();
            let began = Instant::now();
            for _ in 0..streams {
                let mut stream = ends.controller.open(ECHO).await.unwrap();
                tasks.spawn(async move {
                    let mut message = vec![1; 1024];
                    for _ in 0..each {
                        stream.write_all(&message).await.unwrap();
                        stream.read_exact(&mut message).await.unwrap();
                    }
                });
            }
            while tasks.join_next().await.is_some() {}
            let rate = f64::from(each * streams) / began.elapsed().as_secs_f64();
            let over = if tcp { "tcp" } else { "unix" };
            println!("{streams:3} streams over {over}: {rate:9.0} echoes of 1 KiB a second");
            ends.finish().await;
        }
    }
}

#[tokio::test]
#[ignore = "prints figures, checks nothing"]
async fn bulk_per_second() {
    for streams in [1, 4] {
        let ends = over_unix().await;
        let mut tasks = JoinSet::new();
        let began = Instant::now();
        for _ in 0..streams {
            let mut stream = ends.controller.open(SOURCE).await.unwrap();
            tasks.spawn(async move {
                let mut buffer = vec![0; 256 * 1024];
                let mut left = (4 << 30) / streams;
                while left > 0 {
                    left -= stream.read(&mut buffer).await.unwrap().min(left);
                }
            });
        }
        while tasks.join_next().await.is_some() {}
        let rate = 4.0 / began.elapsed().as_secs_f64();
        println!("{streams} downloads over unix: {rate:.2} GiB a second");
        ends.finish().await;
    }
}

#[tokio::test]
#[ignore = "prints figures, checks nothing"]
async fn echo_time_beside_downloads() {
    for downloads in [0, 2] {
        let ends = over_unix().await;
        let mut tasks = JoinSet::new();
        for _ in 0..downloads {
            let mut stream = ends.controller.open(SOURCE).await.unwrap();
            tasks.spawn(async move {
                let mut buffer = vec![0; 256 * 1024];
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
            });
        }
        let mut stream = ends.controller.open(ECHO).await.unwrap();
        let mut message = vec![1; 1024];
        let mut times = Vec::new();
        for _ in 0..2000 {
            let began = Instant::now();
            stream.write_all(&message).await.unwrap();
            stream.read_exact(&mut message).await.unwrap();
            times.push(began.elapsed());
        }
        times.sort();
        println!("echo beside {downloads} downloads: p50 {:?}, p99 {:?}", times[1000], times[1980]);
        tasks.shutdown().await;
        drop(stream);
        ends.finish().await;
    }
}
