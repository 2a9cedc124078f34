//! Blocks as objects in a bucket of an S3 server.
//!
//! ```text
//! abc/abc4…           a block, named by its hash
//! trash/abc/abc4…     one in the trash; its time is when it went there
//! recent/abc/abc4…    empty: somebody wrote the block while it was in the trash, or on its way there
//! ```
//!
//! An object is there whole or not at all, and the last who wrote it wins; S3 has no locks and no
//! rename. So going to the trash is a copy, a look, a deletion and a look again ([`trash`]), and who
//! writes a block looks for it in the trash afterwards: of a sweep and a writer at the same moment one
//! sees the other. A block that was acknowledged may be missing for the moment between a deletion
//! and the second look; who reads it then, or after a sweep that was killed there, brings it back.
//!
//! Bytes come and go by a file without a name on this machine: they are checked before the first one
//! leaves, and sent when all of them are there.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use manifest::BlockHash;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ObjectMeta, ObjectStoreExt as _, RetryConfig};
use outbound::{Bounds, TlsTrust};
use tokio::sync::Semaphore;

use crate::error::KeepError;
use crate::volume::{Block, BlockStatus, Draft, StoredBlock, Volume};

mod connector;
mod draft;
mod list;
mod spool;
mod trash;

use connector::Connector;
use draft::S3Draft;
use spool::Spool;

/// Folders, by the first hexadecimal digit of the hash: each costs two requests of a sweep, and one more
/// for each thousand blocks.
const FOLDERS: u16 = 16;
/// Blocks that are sent at a time by one process: each is in memory meanwhile, all 64 MiB of it.
const N_SENT_MAX: usize = 4;
/// A request that failed is tried so often again.
const RETRIES_MAX: usize = 3;
/// Between tries; doubled each time.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);

/// A bucket, and how to get at it.
#[derive(Clone)]
pub struct S3Options {
    /// The volume's name, for messages.
    pub name: String,
    /// The bucket's name.
    pub bucket: String,
    /// The region, which signatures name.
    pub region: String,
    /// `http(s)://host[:port]`; none is Amazon's server of the region.
    pub endpoint: Option<String>,
    /// Who we are.
    pub access_key_id: String,
    /// What proves it.
    pub secret_access_key: String,
    /// Whom to take for the server.
    pub trust: TlsTrust,
    /// How long it may take.
    pub bounds: Bounds,
    /// A directory for blocks that are under way.
    pub spool: PathBuf,
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, bucket, endpoint, .. } = self;
        write!(f, "S3Options({name}: {bucket} at {endpoint:?})")
    }
}

/// Blocks in a bucket, which may be shared by several processes and machines.
#[derive(Clone)]
pub struct S3Volume(Arc<Inner>);

struct Inner {
    name: String,
    store: AmazonS3,
    spool: PathBuf,
    /// Blocks that may be in memory to be sent.
    sending: Semaphore,
    /// How long one waits for such a place.
    send_timeout: Duration,
}

impl fmt::Debug for S3Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3Volume").field(&self.0.name).finish()
    }
}

impl S3Volume {
    /// A volume on this bucket, which must be there; it is asked when it is needed.
    ///
    /// # Errors
    /// When the roots of trust cannot be loaded, or the options make no address.
    pub fn new(options: S3Options) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let connector = Connector::new(&options.trust, options.bounds)?;
        let backoff = BackoffConfig { init_backoff: BACKOFF_FIRST, ..BackoffConfig::default() };
        let retry =
            RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: options.bounds.answer };
        let is_plain = options.endpoint.as_ref().is_some_and(|it| it.starts_with("http://"));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(options.bucket)
            .with_region(options.region)
            .with_access_key_id(options.access_key_id)
            .with_secret_access_key(options.secret_access_key)
            .with_allow_http(is_plain)
            .with_retry(retry)
            .with_http_connector(connector);
        if let Some(endpoint) = options.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        Ok(Self(Arc::new(Inner {
            name: options.name,
            store: builder.build()?,
            spool: options.spool,
            sending: Semaphore::new(N_SENT_MAX),
            send_timeout: options.bounds.answer,
        })))
    }

    /// What is known of an object, none where there is none.
    async fn look(&self, key: &Key) -> Result<Option<ObjectMeta>, KeepError> {
        self.if_there("look at a block", self.0.store.head(key).await)
    }

    async fn fetch(&self, hash: BlockHash) -> Result<Option<Box<dyn Block>>, KeepError> {
        let got = self.0.store.get(&block_key(hash)).await;
        let Some(object) = self.if_there("read a block", got)? else { return Ok(None) };
        let mut pieces = object.into_stream();
        let mut spool = Spool::begin(&self.0.spool).await?;
        while let Some(piece) = futures_util::StreamExt::next(&mut pieces).await {
            match piece {
                Ok(piece) => spool = spool.write(piece).await?,
                // Gone between two tries of one read.
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(self.failed("read a block")(error)),
            }
        }
        spool.into_block(hash).await.map(Some)
    }

    /// For `map_err`: what was being done.
    fn failed(&self, doing: &'static str) -> impl FnOnce(object_store::Error) -> KeepError + '_ {
        move |error| KeepError::Remote { doing, volume: self.0.name.clone(), source: error.into() }
    }

    fn if_there<T>(
        &self,
        doing: &'static str,
        found: Result<T, object_store::Error>,
    ) -> Result<Option<T>, KeepError> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(doing)(error)),
        }
    }
}

fn block_key(hash: BlockHash) -> Key {
    let name = hash.to_string();
    Key::from_iter([&name[..3], &name])
}

fn key_below(top: &str, hash: BlockHash) -> Key {
    let name = hash.to_string();
    Key::from_iter([top, &name[..3], &name])
}

fn time_of(meta: &ObjectMeta) -> SystemTime {
    meta.last_modified.into()
}

fn status_of(meta: &ObjectMeta) -> BlockStatus {
    BlockStatus { size: meta.size, stored_at: time_of(meta) }
}

impl Volume for S3Volume {
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Draft>, KeepError>> {
        async move {
            let spool = Spool::begin(&self.0.spool).await?;
            Ok(Box::new(S3Draft::new(self.clone(), spool)) as Box<dyn Draft>)
        }
        .boxed()
    }

    fn open(&self, hash: BlockHash) -> BoxFuture<'_, Result<Option<Box<dyn Block>>, KeepError>> {
        async move {
            match self.fetch(hash).await? {
                None if self.bring_back(hash).await? => self.fetch(hash).await,
                found => Ok(found),
            }
        }
        .boxed()
    }

    fn status(&self, hash: BlockHash) -> BoxFuture<'_, Result<Option<BlockStatus>, KeepError>> {
        async move {
            let found = match self.look(&block_key(hash)).await? {
                None if self.bring_back(hash).await? => self.look(&block_key(hash)).await?,
                found => found,
            };
            Ok(found.as_ref().map(status_of))
        }
        .boxed()
    }

    fn n_folders(&self) -> u16 {
        FOLDERS
    }

    fn list(&self, folder: u16) -> BoxFuture<'_, Result<Vec<StoredBlock>, KeepError>> {
        self.list_folder(folder).boxed()
    }

    fn trash(
        &self,
        hash: BlockHash,
        written_before: SystemTime,
    ) -> BoxFuture<'_, Result<bool, KeepError>> {
        self.move_to_trash(hash, written_before).boxed()
    }

    fn untrash(&self, hash: BlockHash) -> BoxFuture<'_, Result<bool, KeepError>> {
        self.take_out_of_trash(hash).boxed()
    }

    fn delete(
        &self,
        hash: BlockHash,
        trashed_before: SystemTime,
    ) -> BoxFuture<'_, Result<bool, KeepError>> {
        self.delete_from_trash(hash, trashed_before).boxed()
    }

    fn discard_drafts(&self, _before: SystemTime) -> BoxFuture<'_, Result<u64, KeepError>> {
        // They have no names, and go with their writers.
        async { Ok(0) }.boxed()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A volume that nobody may ask anything.
    pub(crate) fn nowhere() -> S3Volume {
        let bound = Duration::from_secs(1);
        S3Volume::new(options("http://127.0.0.1:1", bound)).unwrap()
    }

    fn options(endpoint: &str, bound: Duration) -> S3Options {
        S3Options {
            name: "far".to_owned(),
            bucket: "blocks".to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: Some(endpoint.to_owned()),
            access_key_id: "us".to_owned(),
            secret_access_key: "very secret".to_owned(),
            trust: TlsTrust::Insecure,
            bounds: Bounds { connect: bound, answer: bound, silence: bound },
            spool: std::env::temp_dir(),
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_without_the_secret() {
        let hash = BlockHash::of(b"x");
        let error = nowhere().open(hash).await.unwrap_err();
        assert!(error.is_temporary(), "{error}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
        for text in [error.to_string(), format!("{error:?}"), format!("{:?}", nowhere())] {
            assert!(!text.contains("very secret"), "{text}");
            assert!(text.contains("far"), "{text}");
        }
        let shown = format!("{:?}", options("http://127.0.0.1:1", Duration::ZERO));
        assert!(!shown.contains("very secret"), "{shown}");
    }
}
