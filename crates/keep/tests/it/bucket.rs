//! A bucket of a real S3 server, and volumes on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keep::{S3Options, S3Volume};
use manifest::BlockHash;
use outbound::{Bounds, TlsTrust};
use testkit::S3Server;
use testkit::s3_server::{ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY};

pub(crate) const SECRET: &str = SECRET_ACCESS_KEY;

pub(crate) struct Bucket {
    pub(crate) s3: S3Server,
    spool: tempfile::TempDir,
}

impl Bucket {
    pub(crate) fn start() -> Self {
        Self { s3: S3Server::start(), spool: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn volume(&self) -> Arc<S3Volume> {
        self.volume_with(SECRET, Duration::from_secs(20))
    }

    pub(crate) fn volume_with(&self, secret: &str, bound: Duration) -> Arc<S3Volume> {
        self.volume_at(self.s3.endpoint(), secret, bound)
    }

    pub(crate) fn volume_at(
        &self,
        endpoint: String,
        secret: &str,
        bound: Duration,
    ) -> Arc<S3Volume> {
        let options = S3Options {
            name: "far".to_owned(),
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: Some(endpoint),
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: secret.to_owned(),
            trust: TlsTrust::Insecure,
            bounds: Bounds { connect: bound, answer: bound, silence: bound },
            spool: self.spool(),
        };
        Arc::new(S3Volume::new(options).unwrap())
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.spool.path().to_owned()
    }

    /// The file in which the server has an object.
    pub(crate) fn object(&self, top: &str, hash: BlockHash) -> PathBuf {
        self.s3.object(top, &hash.to_string())
    }

    /// Makes an object look as if it had been written so many seconds ago.
    pub(crate) fn age(&self, top: &str, hash: BlockHash, seconds: u64) {
        self.s3.age(top, &hash.to_string(), Duration::from_secs(seconds));
    }
}
