use arbitrary::{Arbitrary, Result, Unstructured};

/// Steps for as long as the input lasts.
///
/// A `Vec` would ask the input after each step whether there is one more, and be short most of the time.
#[derive(Debug)]
pub struct Script<S>(pub Vec<S>);

impl<'a, S: Arbitrary<'a>> Arbitrary<'a> for Script<S> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut steps = Vec::new();
        while !u.is_empty() {
            steps.push(u.arbitrary()?);
        }
        Ok(Self(steps))
    }
}
