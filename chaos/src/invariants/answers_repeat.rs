//! Every answer that is complete is, byte for byte, the one that its prompt got before any fault.

use super::Broken;
use crate::experiments::Plan;
use crate::history::{History, Outcome};

pub(super) fn check(_: &Plan, history: &History) -> Vec<Broken> {
    let mut broken = Vec::new();
    for request in &history.requests {
        let Outcome::Answered(answer) = &request.outcome else { continue };
        let reference = history.references.get(request.prompt);
        if reference != Some(answer) {
            let same = reference
                .map_or(0, |r| r.tokens.iter().zip(&answer.tokens).take_while(|(a, b)| a == b).count());
            let seen = format!(
                "client {} got another answer to prompt {}: {} tokens, of which the first {same} are the reference's",
                request.client,
                request.prompt,
                answer.tokens.len()
            );
            broken.push(Broken::new("answers repeat", seen));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample;
    use crate::load::Answer;

    #[test]
    fn one_other_token_or_byte_breaks_it() {
        let (plan, history) = sample::healthy();
        assert_eq!(check(&plan, &history), []);
        for change in
            [|answer: &mut Answer| answer.tokens[1] += 1, |answer: &mut Answer| answer.text.push('!')]
        {
            let mut other = history.clone();
            let Outcome::Answered(answer) = &mut other.requests[0].outcome else { panic!("it was answered") };
            change(answer);
            assert_eq!(check(&plan, &other).len(), 1);
        }
    }
}
