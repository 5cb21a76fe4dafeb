//! The steps about heads.

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Player;
use crate::vector::Act;

impl<IO, F> Player<'_, IO, F>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    pub(super) async fn take_head(&mut self, act: &Act) -> Result<()> {
        match act {
            Act::Status(status) => {
                self.head = self.wire.head().await?;
                let first = self.head.lines().next().unwrap_or_default().to_owned();
                let http = first.starts_with("HTTP/1.0 ") || first.starts_with("HTTP/1.1 ");
                let said = first.split(' ').nth(1).is_some_and(|said| said == status.to_string());
                ensure!(http && said, "{first}");
            }
            Act::Head(wanted) => {
                self.head = self.wire.head().await?;
                let first = self.head.lines().next().unwrap_or_default();
                let fits = match wanted.strip_suffix("..") {
                    Some(beginning) => first.starts_with(beginning),
                    None => first == wanted,
                };
                ensure!(fits, "{first}");
            }
            Act::Field(wanted) => {
                let (name, value) = wanted.split_once(": ").unwrap_or((wanted, ""));
                let found = self.fields(name);
                ensure!(!found.is_empty() && (value.is_empty() || found == [value]), "{found:?}");
            }
            Act::NoField(name) => ensure!(self.fields(name).is_empty(), "{}", self.head),
            Act::Text(text) => {
                let rest = self.wire.rest().await?;
                let shown = || format!("{:?}", String::from_utf8_lossy(&rest));
                text.check(&rest, &self.ids).with_context(shown)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn fields(&self, wanted: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim()).collect()
    }
}
