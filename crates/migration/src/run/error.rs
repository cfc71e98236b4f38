//! Why a source fails.

/// Why a source did not give what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It can't be reached.
    #[error("{address} can't be reached: {cause}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system says.
        cause: String,
    },
    /// The connection ended.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// Nothing came for long.
    #[error("it said nothing for too long")]
    Silent,
    /// What came is not what belongs there.
    #[error("it does not answer as expected: {0}")]
    Protocol(String),
    /// No TLS, or not with this name.
    #[error("no TLS: {0}")]
    Tls(String),
    /// It doesn't let us in.
    #[error("the log-in is refused: {0}")]
    Login(String),
    /// It refused a command.
    #[error("it refuses {command}: {text}")]
    Refused {
        /// The command's first words.
        command: String,
        /// What it said.
        text: String,
    },
    /// Our own disk has no room for what comes.
    #[error("a temporary file can't be written here: {0}")]
    OwnDisk(String),
}

impl SourceError {
    /// The connection ended with this error.
    pub fn lost(error: std::io::Error) -> Self {
        SourceError::Lost(error.to_string())
    }

    /// This line is not what belongs there.
    pub fn protocol(line: &str) -> Self {
        SourceError::Protocol(line.chars().take(100).collect())
    }

    /// Whether it may go well with another connection.
    pub fn is_temporary(&self) -> bool {
        matches!(self, SourceError::Unreachable { .. } | SourceError::Lost(_) | SourceError::Silent)
    }
}
