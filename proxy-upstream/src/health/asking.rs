//! The check of another hop of ours: it is asked how it is.

use super::cause::Finding;
use super::exchange::{Exchange, Step, line};
use super::hop::{LONGEST, Word, question};

/// Asks.
#[derive(Debug)]
pub(super) struct Asking {
    question: Vec<u8>,
    answer: Option<Word>,
}

impl Asking {
    pub(super) fn new(server_name: Option<&str>) -> Self {
        Self { question: question(server_name), answer: None }
    }
}

impl Exchange for Asking {
    fn begin(&mut self) -> Step {
        Step::send(std::mem::take(&mut self.question))
    }

    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding> {
        let Some(line) = line(heard) else { return Ok(Step::default()) };
        self.answer = Some(Word::read(line)?);
        Ok(Step::well([]))
    }

    fn word(&self) -> Option<Word> {
        self.answer
    }

    fn most(&self) -> usize {
        LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::super::conversation::tests::talk;
    use super::super::options::CheckKind;
    use super::*;

    #[test]
    fn the_whole_conversation() {
        let (sent, verdict) = talk(&CheckKind::Smartproxy(None), b"smartproxy 1 draining load=3\n");
        assert_eq!((sent, verdict), (question(None), Ok(true)));
    }
}
