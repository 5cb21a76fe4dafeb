use arbitrary::Arbitrary;
use rpc_core::ProtocolError;
use rpc_core::frame::Frame;
use rpc_core::input::Input;

/// How a stream arrives: where it is cut, and how much of each slice is read before the rest is kept.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Slicing {
    /// Sizes of the slices, taken in turn. 0: all that is left. From 128 on: in KiB.
    pub sizes: [u8; 2],
    /// Frames that are taken of a slice before the rest of it is kept. 0: all of them.
    pub stop_after: u8,
    /// Whether the rest of a large frame is read straight into the input's own buffer.
    pub direct: bool,
}

impl Slicing {
    /// Everything in one slice.
    pub const WHOLE: Slicing = Slicing { sizes: [0; 2], stop_after: 0, direct: false };

    /// The slices of `bytes`.
    pub fn slices<'a>(&self, mut bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut sizes = self.sizes.into_iter().cycle();
        std::iter::from_fn(move || {
            let size = size_of_slice(sizes.next()?).min(bytes.len());
            let (slice, rest) = bytes.split_at(size);
            bytes = rest;
            (size > 0).then_some(slice)
        })
    }

    /// Lets `bytes` reach `input`. `take` is given each frame, and `look` the input after each slice
    /// with the number of bytes that have arrived.
    ///
    /// # Errors
    /// The input's, after which it is not used any more.
    pub fn feed(
        &self,
        input: &mut Input,
        bytes: &[u8],
        mut take: impl FnMut(Frame<'_>),
        mut look: impl FnMut(&mut Input, usize),
    ) -> Result<(), ProtocolError> {
        let mut arrived = 0;
        for slice in self.slices(bytes) {
            let mut rest = slice;
            while !rest.is_empty() {
                if self.direct
                    && let Some((tail, most)) = input.direct()
                {
                    let (direct, after) = rest.split_at(most.min(rest.len()));
                    tail.extend_from_slice(direct);
                    rest = after;
                    arrived += direct.len();
                } else {
                    let mut at = 0;
                    let mut left = if self.stop_after == 0 { usize::MAX } else { self.stop_after.into() };
                    while left > 0
                        && let Some(frame) = input.next(rest, &mut at)?
                    {
                        take(frame);
                        left -= 1;
                    }
                    input.keep(&rest[at..]);
                    arrived += rest.len();
                    rest = &[];
                }
                look(input, arrived);
            }
        }
        while let Some(frame) = input.next(&[], &mut 0)? {
            take(frame);
        }
        look(input, arrived);
        Ok(())
    }
}

fn size_of_slice(byte: u8) -> usize {
    match byte {
        0 => usize::MAX,
        1..128 => byte.into(),
        128.. => (usize::from(byte) - 127) * 1024,
    }
}
