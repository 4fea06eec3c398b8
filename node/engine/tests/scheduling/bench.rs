//! A scheduler on some layers, driven step by step, and a record of all that it tells.

use std::collections::BTreeMap;

use helixflow_engine::compute::{Compute, Limits};
use helixflow_engine::kv::CacheSalt;
use helixflow_engine::sampling::Chosen;
use helixflow_engine::schedule::{
    Bounds, Budget, Event, Failure, Request, RequestNumber, Scheduler, StepError, Stepped, Verdict,
};
use helixflow_model::{FinishReason, LoadReport, Sampling, TokenId, Usage};

use crate::oracle::Stream;
use crate::toy::Toy;

pub(crate) const EOS: TokenId = TokenId(2);

/// Roomy: nothing waits.
pub(crate) const ROOMY: Limits = Limits { rows: 64, logit_rows: 64, pages: 256 };

/// `length` tokens that differ from place to place, the same for the same `family`.
pub(crate) fn prompt(family: u32, length: usize) -> Vec<TokenId> {
    (0..length as u32).map(|i| TokenId((i * 7 + i / 11 + family * 13) % 30 + 3)).collect()
}

pub(crate) fn request(prompt: Vec<TokenId>, sampling: Sampling) -> Request {
    Request {
        prompt,
        generated: Vec::new(),
        sampling,
        seed: 11,
        eos: vec![EOS],
        salt: CacheSalt(1),
        priority: 0,
    }
}

/// Hot enough that seeds matter, with every cut in play.
pub(crate) fn warm(max_tokens: u32) -> Sampling {
    Sampling {
        temperature: 1.2,
        top_k: 20,
        top_p: 0.95,
        min_p: 0.01,
        repetition_penalty: 1.3,
        ignore_eos: true,
        logprobs: Some(3),
        max_tokens,
        ..Sampling::default()
    }
}

/// What one request has heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Heard {
    pub(crate) tokens: BTreeMap<u32, Vec<Chosen>>,
    pub(crate) finishes: BTreeMap<u32, FinishReason>,
    pub(crate) end: Option<Result<Usage, Failure>>,
}

impl Heard {
    /// Notes an event, which must be one that may come now. `from` is where each choice's indexes begin.
    pub(crate) fn note(&mut self, event: Event, from: impl Fn(u32) -> usize) {
        assert_eq!(self.end, None, "news after the end: {event:?}");
        match event {
            Event::Token { choice, index, token, logprobs } => {
                assert!(!self.finishes.contains_key(&choice), "a token after the choice's end");
                let tokens = self.tokens.entry(choice).or_default();
                assert_eq!(index as usize, from(choice) + tokens.len());
                tokens.push(Chosen { token, logprobs });
            }
            Event::ChoiceEnd { choice, finish } => {
                assert_eq!(self.finishes.insert(choice, finish), None, "a choice ended twice");
            }
            Event::End { usage } => self.end = Some(Ok(usage)),
            Event::Failed(failure) => self.end = Some(Err(failure)),
        }
    }

    /// The choices as streams, when all have ended.
    pub(crate) fn streams(&self) -> Vec<Stream> {
        let stream = |(&choice, &finish): (&u32, &FinishReason)| Stream {
            tokens: self.tokens.get(&choice).cloned().unwrap_or_default(),
            finish,
        };
        self.finishes.iter().map(stream).collect()
    }

    pub(crate) fn usage(&self) -> Usage {
        self.end.clone().expect("the request is over").expect("it did not fail")
    }
}

/// How a request's receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Patient,
    /// Sees a stop string in the token that makes a choice this long.
    StopAfter(usize),
    /// Goes away at the choice's token of this number.
    GoneAfter(usize),
}

pub(crate) struct Bench {
    pub(crate) scheduler: Scheduler,
    compute: Box<dyn Compute>,
    next: u64,
    manners: BTreeMap<RequestNumber, (Manner, Vec<usize>)>,
    pub(crate) heard: BTreeMap<RequestNumber, Heard>,
}

impl Bench {
    /// On the toy.
    pub(crate) fn new(limits: Limits, budget: Budget) -> Self {
        Self::on(Box::new(Toy::new(limits)), budget)
    }

    pub(crate) fn on(compute: Box<dyn Compute>, budget: Budget) -> Self {
        Self {
            scheduler: Scheduler::new(Bounds::new(compute.shape(), compute.limits()), budget),
            compute,
            next: 0,
            manners: BTreeMap::new(),
            heard: BTreeMap::new(),
        }
    }

    pub(crate) fn roomy() -> Self {
        Self::new(ROOMY, Budget::new(ROOMY, 32, 32))
    }

    pub(crate) fn submit(&mut self, request: Request) -> RequestNumber {
        self.submit_to(Manner::Patient, request)
    }

    pub(crate) fn submit_to(&mut self, manner: Manner, request: Request) -> RequestNumber {
        let number = RequestNumber(self.next);
        self.next += 1;
        let from = request.generated.iter().map(Vec::len).collect();
        self.manners.insert(number, (manner, from));
        self.heard.insert(number, Heard::default());
        self.scheduler.submit(number, request).expect("the request is fine");
        number
    }

    pub(crate) fn try_step(&mut self) -> Result<Stepped, StepError> {
        let (manners, heard) = (&self.manners, &mut self.heard);
        let mut deliver = |number: RequestNumber, event: Event| {
            let (manner, from) = &manners[&number];
            let heard = heard.get_mut(&number).expect("a known request");
            let length = match &event {
                Event::Token { index, .. } => *index as usize + 1,
                _ => 0,
            };
            heard.note(event, |choice| from.get(choice as usize).copied().unwrap_or(0));
            match manner {
                Manner::StopAfter(stop) if length == *stop => Verdict::Stop,
                Manner::GoneAfter(gone) if length == *gone => Verdict::Gone,
                _ => Verdict::Continue,
            }
        };
        self.scheduler.admit(&mut deliver);
        self.scheduler.step(&mut *self.compute, &mut deliver)
    }

    pub(crate) fn step(&mut self) -> Stepped {
        let stepped = self.try_step().expect("the layers do not fail");
        assert!(stepped.rows > 0 || !self.scheduler.has_work(), "there is work, but no step");
        stepped
    }

    /// Steps until nothing is left. Returns the rows computed.
    pub(crate) fn finish(&mut self) -> usize {
        let mut rows = 0;
        while self.scheduler.has_work() {
            rows += self.step().rows;
        }
        rows
    }

    /// Runs one request to its end.
    pub(crate) fn run(&mut self, request: Request) -> Heard {
        let number = self.submit(request);
        self.finish();
        self.heard[&number].clone()
    }

    pub(crate) fn load(&self) -> LoadReport {
        self.scheduler.load()
    }

    pub(crate) fn assert_nothing_is_held(&self) {
        let load = self.load();
        let idle = LoadReport {
            kv_pages_free: load.kv_pages_total,
            kv_pages_total: load.kv_pages_total,
            sequences: load.sequences,
            ..LoadReport::default()
        };
        assert_eq!(load, idle);
    }
}
