//! The command line.

use ringloop::BackendChoice;

/// What this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Clients,
    Server,
}

#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) role: Role,
    pub(crate) seconds: u64,
    pub(crate) connections: usize,
    pub(crate) backend: BackendChoice,
    pub(crate) seed: u64,
}

impl Args {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            role: Role::Clients,
            seconds: 600,
            connections: 10_000,
            backend: BackendChoice::Auto,
            seed: std::process::id().into(),
        };
        let mut words = words;
        while let Some(word) = words.next() {
            if word == "--server" {
                args.role = Role::Server;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
            let number = || value.parse::<u64>().map_err(|e| format!("{word} {value}: {e}"));
            match word.as_str() {
                "--seconds" => args.seconds = number()?.max(2),
                "--connections" => args.connections = number()? as usize,
                "--backend" => args.backend = value.parse().map_err(|e| format!("{e}"))?,
                "--seed" => args.seed = number()?,
                _ => {
                    return Err(format!("there is no option {word}; the head of ci/soak has them"));
                }
            }
        }
        Ok(args)
    }

    /// The command line of the server that belongs to these clients.
    pub(crate) fn of_server(&self) -> [String; 5] {
        let seed = self.seed.to_string();
        ["--server".into(), "--backend".into(), self.backend.to_string(), "--seed".into(), seed]
    }
}
