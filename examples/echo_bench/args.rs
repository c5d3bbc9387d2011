//! The options, and the cells that they ask for.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ringloop::BackendChoice;

pub(crate) const HELP: &str = "\
usage: echo_bench [options]
  Measures ringloop's echo server on every backend: throughput, server CPU, syscalls, latency, idle memory.

  --full               every combination of 1, 50, 1000 connections, 64 to 65536 bytes, pipeline 1 and 32,
                       except those with more than 64 MiB in flight
  --connections LIST   numbers of connections, such as 1,50,1000
  --size LIST          bytes in a message, such as 64,1K,64K
  --pipeline LIST      messages in flight on each connection, such as 1,32
                       (one of these three given, the others are 50, 64 and 1)
  --backend LIST       uring, epoll, auto, or several of them (uring,epoll)
  --api LIST           chunk (leases sent back without a copy), slice, and the same by reader and
                       writer: stream, stream-slice, and by callbacks: protocol (chunk)
  --seconds N          measured seconds a cell and server, in up to five rounds (4)
  --json FILE          also write the figures to this file";

/// How the server echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Chunk,
    Slice,
    Stream,
    StreamSlice,
    Protocol,
}

impl Api {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "chunk" => Some(Self::Chunk),
            "slice" => Some(Self::Slice),
            "stream" => Some(Self::Stream),
            "stream-slice" => Some(Self::StreamSlice),
            "protocol" => Some(Self::Protocol),
            _ => None,
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Chunk => "chunk",
            Self::Slice => "slice",
            Self::Stream => "stream",
            Self::StreamSlice => "stream-slice",
            Self::Protocol => "protocol",
        })
    }
}

/// A server to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) backend: BackendChoice,
    pub(crate) api: Api,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.backend, self.api)
    }
}

/// A load to measure it under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) connections: usize,
    pub(crate) size: usize,
    pub(crate) pipeline: usize,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {} B × {}", self.connections, self.size, self.pipeline)
    }
}

/// What is measured when nobody says otherwise.
const DEFAULT: [Cell; 7] = {
    const fn cell(connections: usize, size: usize, pipeline: usize) -> Cell {
        Cell { connections, size, pipeline }
    }
    [
        cell(1, 64, 1),
        cell(50, 64, 1),
        cell(1000, 64, 1),
        cell(50, 1024, 1),
        cell(50, 16 * 1024, 1),
        cell(50, 64, 32),
        cell(8, 64 * 1024, 4),
    ]
};

/// The most bytes in flight that `--full` asks for.
const FULL: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) cells: Vec<Cell>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rounds: usize,
    pub(crate) window: Duration,
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// What the arguments ask for; `None` stands for help.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut full = false;
        let (mut connections, mut sizes, mut pipelines) = (Vec::new(), Vec::new(), Vec::new());
        let mut backends = vec![BackendChoice::Uring, BackendChoice::Epoll];
        let mut apis = vec![Api::Chunk];
        let (mut seconds, mut json) = (4.0, None);
        while let Some(name) = args.next() {
            let name = name.as_str();
            let mut value = |wanted: &'static str| match args.next() {
                Some(text) => Ok(Value { name, text, wanted }),
                None => Err(format!("{name} needs {wanted}")),
            };
            match name {
                "-h" | "--help" => return Ok(None),
                "--full" => full = true,
                "--connections" => {
                    connections = value("numbers from 1 to 25000")?.list(|n| number(n, 25_000))?;
                }
                "--size" => {
                    sizes = value("numbers of bytes up to 16M")?.list(|n| number(n, 16 << 20))?
                }
                "--pipeline" => {
                    pipelines = value("numbers from 1 to 4096")?.list(|n| number(n, 4096))?
                }
                "--backend" => {
                    backends = value("auto, uring or epoll")?.list(|b| b.parse().ok())?
                }
                "--api" => {
                    apis =
                        value("chunk, slice, stream, stream-slice or protocol")?.list(Api::parse)?
                }
                "--seconds" => {
                    seconds = value("a number from 0.1 to 3600")?
                        .one(|n| n.parse().ok().filter(|n| (0.1..=3600.0).contains(n)))?;
                }
                "--json" => json = Some(PathBuf::from(value("a file")?.text)),
                _ => return Err(format!("there is no option {name}; --help lists them")),
            }
        }

        let refined = !(connections.is_empty() && sizes.is_empty() && pipelines.is_empty());
        let or = |list: Vec<usize>, all: &[usize], one: usize| match list.is_empty() {
            true if full => all.to_vec(),
            true => vec![one],
            false => list,
        };
        let cells = if full || refined {
            let connections = or(connections, &[1, 50, 1000], 50);
            let sizes = or(sizes, &[64, 1024, 16 * 1024, 64 * 1024], 64);
            let pipelines = or(pipelines, &[1, 32], 1);
            let mut cells = product(&connections, &sizes, &pipelines);
            cells.retain(|cell| !full || cell.connections * cell.size * cell.pipeline <= FULL);
            cells
        } else {
            DEFAULT.to_vec()
        };
        if cells.is_empty() {
            return Err(
                "--full leaves out what has more than 64 MiB in flight: nothing is left".into()
            );
        }

        let kinds = backends
            .iter()
            .flat_map(|&backend| apis.iter().map(move |&api| Kind { backend, api }))
            .collect();
        // An odd number of rounds has a median that was measured.
        let rounds = match (seconds / 0.8) as usize {
            0..=2 => 1,
            3 | 4 => 3,
            _ => 5,
        };
        let window = Duration::from_secs_f64(seconds / rounds as f64);
        Ok(Some(Self { cells, kinds, rounds, window, json }))
    }
}

/// All combinations, the first list outermost.
fn product(connections: &[usize], sizes: &[usize], pipelines: &[usize]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &connections in connections {
        for &size in sizes {
            cells.extend(pipelines.iter().map(|&pipeline| Cell { connections, size, pipeline }));
        }
    }
    cells
}

/// A number from 1 to `max`; `K` stands for 1,024 and `M` for 1,048,576.
fn number(text: &str, max: usize) -> Option<usize> {
    let (digits, unit) = match text.char_indices().last()? {
        (end, 'k' | 'K') => (&text[..end], 1 << 10),
        (end, 'm' | 'M') => (&text[..end], 1 << 20),
        _ => (text, 1),
    };
    let number = digits.parse::<usize>().ok()?.checked_mul(unit)?;
    (1..=max).contains(&number).then_some(number)
}

/// The value of an option, on its way to being understood.
struct Value<'a> {
    name: &'a str,
    text: String,
    wanted: &'static str,
}

impl Value<'_> {
    fn one<T>(&self, parse: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        self.understand(&self.text, &parse)
    }

    /// Comma-separated values; doubles are dropped.
    fn list<T: PartialEq>(&self, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
        let mut list = Vec::new();
        for text in self.text.split(',') {
            let item = self.understand(text.trim(), &parse)?;
            if !list.contains(&item) {
                list.push(item);
            }
        }
        Ok(list)
    }

    fn understand<T>(&self, text: &str, parse: &impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let Self { name, wanted, .. } = self;
        parse(text).ok_or_else(|| format!("{name} needs {wanted}, and {text:?} is not among them"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn no_arguments_measure_the_small_matrix_on_both_backends() {
        let options = parse("").unwrap().unwrap();
        assert_eq!(options.cells, DEFAULT);
        assert_eq!(options.kinds.len(), 2);
        assert_eq!(options.rounds, 5);
        assert_eq!(options.window, Duration::from_millis(800));
    }

    #[test]
    fn lists_are_multiplied() {
        let options = parse("--connections 1,1K,1 --size 64K --api slice,chunk").unwrap().unwrap();
        let cells = [1, 1024].map(|connections| Cell { connections, size: 65_536, pipeline: 1 });
        assert_eq!(options.cells, cells);
        assert_eq!(options.kinds.len(), 4);
        assert_eq!(parse("--full").unwrap().unwrap().cells.len(), 24 - 3);
    }

    #[test]
    fn a_bad_option_gets_one_sentence_that_names_it() {
        for line in [
            "--size",
            "--size 0",
            "--size 1G",
            "--size é",
            "--connections 5,,6",
            "--pipeline -1",
            "--pipeline 99999999999999999999",
            "--backend kqueue",
            "--api callback",
            "--seconds 0",
            "--seconds NaN",
            "--sizes 3",
            "echo",
        ] {
            let sentence = parse(line).unwrap_err();
            assert!(sentence.contains(line.split(' ').next().unwrap()), "{line}: {sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
    }
}
