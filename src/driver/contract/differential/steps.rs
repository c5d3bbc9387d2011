//! The steps, and how they are drawn.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A descriptor of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Tcp,
    Unix,
    Udp,
    Datagram,
    PipeIn,
    PipeOut,
    Event,
    File,
    Dir,
    Null,
    Listener,
    /// A TCP socket that is not connected yet.
    Fresh,
    /// -1.
    Bad,
    /// A number that is not open.
    NotOpen,
}

impl Thing {
    pub(super) const ALL: [Self; 14] = [
        Self::Tcp,
        Self::Unix,
        Self::Udp,
        Self::Datagram,
        Self::PipeIn,
        Self::PipeOut,
        Self::Event,
        Self::File,
        Self::Dir,
        Self::Null,
        Self::Listener,
        Self::Fresh,
        Self::Bad,
        Self::NotOpen,
    ];

    /// Whether what is received comes in pieces that mean something.
    pub(super) fn has_pieces(self) -> bool {
        matches!(self, Self::Udp | Self::Datagram)
    }

    pub(super) fn is_socket(self) -> bool {
        use Thing::*;
        matches!(self, Tcp | Unix | Udp | Datagram | Listener | Fresh)
    }

    /// Whether reads and writes of it never wait for somebody else.
    pub(super) fn never_waits(self) -> bool {
        matches!(self, Self::File | Self::Dir | Self::Null | Self::Bad | Self::NotOpen)
    }
}

/// Where a file request works: `None` is the file's position.
pub(super) type At = Option<u64>;

#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    Listener,
    Nobody,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Path {
    There,
    Missing,
    Dir,
    /// Two opens with `O_CREAT | O_EXCL`: the second one fails.
    New,
    DirToWrite,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    Read,
    Write,
    Both,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Show {
    Nothing,
    In,
    Out,
    InOut,
    Pri,
}

/// One thing that happens. The first rows are requests.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Nop,
    Recv(Thing, u32),
    RecvPool(Thing),
    /// Datagrams into buffers of their own.
    RecvMsg(Thing),
    /// A multishot with a total.
    Stream(Thing, u32),
    Read(Thing, u32, At),
    Write(Thing, u32, At),
    Send(Thing, u32),
    Quiet(Thing, u32),
    SendMsg(Thing, u32),
    Accept(Thing),
    AcceptAll(Thing),
    Connect(Thing, To),
    Open(Path),
    Sync(Thing, bool),
    Poll(Thing, Show),
    /// Cancels what is in flight on it first.
    Close(Thing),
    /// Ours.
    Shutdown(Thing, How),
    PeerSends(Thing, u32),
    PeerReads(Thing),
    PeerShuts(Thing, How),
    PeerCloses(Thing),
    PeerResets(Thing),
    PeerConnects,
    /// Cancels one of those in flight.
    Cancel(u8),
}

impl Step {
    pub(super) fn has_total(&self) -> bool {
        matches!(self, Self::Stream(_, total) if *total > 0)
    }
}

/// More than fits into any socket.
pub(super) const BIG: u32 = 1 << 20;

/// A list of steps that prints one a line.
#[derive(Clone)]
pub(super) struct Steps(pub(super) Vec<Step>);

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "\n  {step:?},"))
    }
}

pub(super) fn steps() -> impl Strategy<Value = Steps> {
    vec(step(), 1..24).prop_map(Steps)
}

fn step() -> impl Strategy<Value = Step> {
    use Thing::*;
    let socket = || select(vec![Tcp, Unix, Udp, Datagram]);
    let stream = || select(vec![Tcp, Unix]);
    // Mostly what makes sense, and everything else now and then.
    let anything = || select(&Thing::ALL[..]);
    let on = |sense: Vec<Thing>| prop_oneof![4 => select(sense), 1 => select(&Thing::ALL[..])];
    let len = || select(vec![0, 1, 8, 100, 3000, 5000]);
    let small = || select(vec![0, 1, 8, 100, 3000]);
    let at = || select(vec![None, None, Some(0), Some(50), Some(20_000)]);
    let how = || select(vec![How::Read, How::Write, How::Both]);
    let show = select(vec![Show::Nothing, Show::In, Show::Out, Show::InOut, Show::Pri]);
    let inward = || on(vec![Tcp, Unix, Udp, Datagram]);
    prop_oneof![
        1 => Just(Step::Nop),
        3 => (inward(), len()).prop_map(|(thing, len)| Step::Recv(thing, len)),
        3 => inward().prop_map(Step::RecvPool),
        5 => (inward(), select(vec![0, 0, 6, 5000])).prop_map(|(thing, n)| Step::Stream(thing, n)),
        3 => inward().prop_map(Step::RecvMsg),
        3 => (on(vec![PipeIn, File, Event]), small(), at())
            .prop_map(|(thing, len, at)| Step::Read(thing, len, at)),
        3 => (on(vec![PipeOut, File, Event]), small(), at())
            .prop_map(|(thing, len, at)| Step::Write(thing, len, at)),
        3 => (inward(), len()).prop_map(|(thing, len)| Step::Send(thing, len)),
        1 => socket().prop_map(|thing| Step::Send(thing, BIG)),
        2 => (inward(), len()).prop_map(|(thing, len)| Step::Quiet(thing, len)),
        2 => (inward(), len()).prop_map(|(thing, len)| Step::SendMsg(thing, len)),
        1 => stream().prop_map(|thing| Step::SendMsg(thing, BIG)),
        2 => on(vec![Listener]).prop_map(Step::Accept),
        2 => on(vec![Listener]).prop_map(Step::AcceptAll),
        2 => (on(vec![Fresh]), select(vec![To::Listener, To::Nobody]))
            .prop_map(|(thing, to)| Step::Connect(thing, to)),
        2 => select(vec![Path::There, Path::Missing, Path::Dir, Path::New, Path::DirToWrite])
            .prop_map(Step::Open),
        1 => (on(vec![File, Dir]), any::<bool>()).prop_map(|(thing, data)| Step::Sync(thing, data)),
        3 => (anything(), show).prop_map(|(thing, show)| Step::Poll(thing, show)),
        2 => anything().prop_map(Step::Close),
        1 => (inward(), how()).prop_map(|(thing, how)| Step::Shutdown(thing, how)),
        10 => (select(vec![Tcp, Unix, Udp, Datagram, PipeIn, Event]), len())
            .prop_map(|(thing, len)| Step::PeerSends(thing, len)),
        4 => select(vec![Tcp, Unix, Udp, Datagram, PipeOut]).prop_map(Step::PeerReads),
        2 => (stream(), how()).prop_map(|(thing, how)| Step::PeerShuts(thing, how)),
        3 => select(vec![Tcp, Unix, Udp, Datagram, PipeIn, PipeOut]).prop_map(Step::PeerCloses),
        1 => Just(Step::PeerResets(Tcp)),
        3 => Just(Step::PeerConnects),
        5 => any::<u8>().prop_map(Step::Cancel),
    ]
}
