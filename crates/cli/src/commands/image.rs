//! `wharf image`: images into the store, listed, out of it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use client::{ImageSummary, RequestBody};
use config::ByteSize;
use futures_util::StreamExt;
use model::Timestamp;

use super::ps;
use crate::args::{ImageCommand, SharedArgs};
use crate::context::Context;
use crate::failure::UsageError;
use crate::table::Table;
use crate::{output, progress};

mod pull;

/// Characters of an image's digest that are shown: enough to tell images apart.
const ID_COLUMNS: usize = 12;

pub(crate) async fn image(shared: &SharedArgs, command: ImageCommand) -> anyhow::Result<()> {
    match command {
        ImageCommand::Import { file, name } => {
            import(&Context::load(shared)?, &file, name.as_deref()).await
        }
        ImageCommand::List(args) => list(&Context::load(shared)?, args.json).await,
        ImageCommand::Rm { name } => Ok(Context::load(shared)?.client.remove_image(&name).await?),
        ImageCommand::Pull { reference, name } => {
            pull::pull(&Context::load(shared)?, &reference, name.as_deref()).await
        }
    }
}

async fn import(context: &Context, file: &Path, name: Option<&str>) -> anyhow::Result<()> {
    let image = if file == Path::new("-") {
        import_stdin(context, name).await?
    } else {
        import_file(context, file, name).await?
    };
    tell(&image, name)
}

/// Says what was imported.
fn tell(image: &ImageSummary, name: Option<&str>) -> anyhow::Result<()> {
    let size = ByteSize::bytes(image.size_bytes);
    output::remark(&format!("Imported {} ({}).", short_digest(&image.id), about(size)));
    // A name that can be run goes to stdout, for scripts: the one asked for, else the archive's.
    let name = name.or_else(|| image.names.first().map(String::as_str)).unwrap_or(&image.id);
    output::print_line(name)?;
    Ok(())
}

async fn import_file(
    context: &Context,
    path: &Path,
    name: Option<&str>,
) -> anyhow::Result<ImageSummary> {
    let opened = tokio::fs::File::open(path).await;
    let file = opened.with_context(|| format!("cannot read {}", path.display()))?;
    let about = file.metadata().await?;
    if about.is_dir() {
        let text = format!(
            "{} is a directory; pack it first: tar -C {} -cf image.tar .",
            path.display(),
            path.display()
        );
        return Err(UsageError(text).into());
    }
    let total = about.is_file().then_some(about.len());
    let bar = progress::bytes_bar(total, "importing");
    let drawn = bar.clone();
    let sent = Arc::new(move |n_bytes| {
        drawn.set_position(n_bytes);
        if total == Some(n_bytes) {
            drawn.set_message("unpacking");
        }
    });
    let imported = context.client.import_image_file(file, name, sent).await;
    bar.finish_and_clear();
    imported.with_context(|| format!("cannot import {}", path.display()))
}

async fn import_stdin(context: &Context, name: Option<&str>) -> anyhow::Result<ImageSummary> {
    let bar = progress::bytes_bar(None, "importing");
    let drawn = bar.clone();
    let pieces = read_stdin().inspect(move |piece| {
        drawn.inc(piece.as_ref().map_or(0, |piece| piece.len() as u64));
    });
    let imported = context.client.import_image(RequestBody::Stream(pieces.boxed()), name).await;
    bar.finish_and_clear();
    imported.context("cannot import the archive from standard input")
}

/// Standard input piece by piece; ends with its first error.
fn read_stdin() -> impl futures_util::Stream<Item = std::io::Result<client::Bytes>> {
    use tokio::io::AsyncReadExt;
    futures_util::stream::unfold(Some(tokio::io::stdin()), |stdin| async move {
        let mut stdin = stdin?;
        let mut piece = Vec::with_capacity(256 << 10);
        match stdin.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.into()), Some(stdin))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

async fn list(context: &Context, json: bool) -> anyhow::Result<()> {
    let images = context.client.list_images().await?;
    if json {
        return output::print_json(&images);
    }
    let now = Timestamp::from_jiff(jiff::Timestamp::now());
    output::print(&table(&images, now).render(context.width()))?;
    Ok(())
}

fn table(images: &[ImageSummary], now: Timestamp) -> Table {
    let mut table = Table::new(&["ID", "SIZE", "AGE", "NAME"]);
    for image in images {
        let unnamed = [String::new()];
        let names = if image.names.is_empty() { &unnamed[..] } else { &image.names[..] };
        for name in names {
            table.row([
                short_digest(&image.id).to_owned(),
                about(ByteSize::bytes(image.size_bytes)),
                image.created.filter(is_meant).map(|at| ps::age(at, now)).unwrap_or_default(),
                name.clone(),
            ]);
        }
    }
    table
}

/// Reproducible builds date their images 1970, which means no date.
fn is_meant(created: &Timestamp) -> bool {
    created.as_jiff().as_second() > 0
}

fn short_digest(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..ID_COLUMNS).unwrap_or(hex)
}

/// A size for people: three digits and a unit, where [`ByteSize`] prints every byte.
fn about(size: ByteSize) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let bytes = size.get();
    let Some((unit, factor)) = UNITS.iter().find(|(_, factor)| bytes >= *factor) else {
        return format!("{bytes} B");
    };
    let tenths = u128::from(bytes) * 10 / u128::from(*factor);
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let check = |bytes: u64, shown: &str| assert_eq!(about(ByteSize::bytes(bytes)), shown);
        check(0, "0 B");
        check(1023, "1023 B");
        check(4 << 20, "4.0 MiB");
        check(1_234_567_890, "1.1 GiB");
        check(700 << 30, "700 GiB");
    }

    #[test]
    fn every_name_has_a_line() {
        let image = ImageSummary {
            id: format!("sha256:{}", "ab".repeat(32)),
            names: vec!["a:1".into(), "a:latest".into()],
            size_bytes: 2048,
            created: Some("1970-01-01T00:00:00Z".parse().unwrap()),
            layers: 1,
        };
        let shown = table(&[image], "2026-11-23T00:00:00Z".parse().unwrap()).render(None);
        assert_eq!(
            shown,
            "ID            SIZE     AGE  NAME\n\
             abababababab  2.0 KiB       a:1\n\
             abababababab  2.0 KiB       a:latest\n"
        );
    }
}
