//! Writes each mail as a file (`.eml`, RFC 5322) into a folder: to try things out, or for a program that fetches them there. A mail that is
//! delivered twice is one file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use futures_util::future::{BoxFuture, FutureExt as _};
use lettre::Message;
use tegata_authority::Undelivered;

use super::Mailer;

/// The folder.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it where it is missing; only its owner can look into it.
    pub fn new(path: PathBuf) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("mail.folder {} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let (partial, whole) = (self.0.join(format!(".{name}.partial")), self.0.join(format!("{name}.eml")));
        let mut file = tokio::fs::File::create(&partial).await?;
        tokio::io::AsyncWriteExt::write_all(&mut file, bytes).await?;
        file.sync_all().await?;
        tokio::fs::rename(&partial, &whole).await?;
        sync(&self.0).await
    }
}

/// What a rename did is on the disk only when the folder is.
async fn sync(folder: &Path) -> std::io::Result<()> {
    tokio::fs::File::open(folder).await?.sync_all().await
}

impl Mailer for Folder {
    fn send<'m>(&'m self, key: &'m str, message: &'m Message) -> BoxFuture<'m, Result<(), Undelivered>> {
        async move {
            let written = self.write(key, &message.formatted()).await;
            written.map_err(|error| Undelivered {
                reason: format!("{} cannot be written to: {error}", self.0.display()),
                for_good: false,
            })
        }
        .boxed()
    }
}
