//! How bodies are encoded.

/// A body format, chosen once per connection in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The frozen bincode format: varint, little endian. The default.
    Bincode,
    /// JSON, for peers without a schema.
    #[cfg(feature = "json")]
    Json,
}

impl Format {
    /// Every format of this build, in the order of preference.
    pub const ALL: &'static [Format] = &[
        Format::Bincode,
        #[cfg(feature = "json")]
        Format::Json,
    ];

    /// The id on the wire (`Rpc-Format`), which names the format and not a crate.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Bincode => "bincode",
            #[cfg(feature = "json")]
            Format::Json => "json",
        }
    }

    /// The format of that id, if this build has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name().eq_ignore_ascii_case(name))
    }
}
