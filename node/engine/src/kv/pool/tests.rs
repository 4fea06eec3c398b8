//! The pool against a plain model: what each page holds, who holds it, and that nothing is lost.

use proptest::prelude::*;

use super::*;

const SALT: CacheSalt = CacheSalt(7);

/// A prompt of full pages, each of one repeated token, and one token more.
fn prompt(pages: &[u32]) -> Vec<TokenId> {
    let mut tokens: Vec<_> =
        pages.iter().flat_map(|&token| std::iter::repeat_n(TokenId(token), PAGE_POSITIONS)).collect();
    tokens.push(TokenId(0));
    tokens
}

/// A sequence as the scheduler would run it, and the contents that its pages must have.
struct Sequence {
    table: Table,
    tokens: Vec<TokenId>,
}

/// A pool beside what was really written to each page: all tokens up to and including that page.
struct Bench {
    pool: Pool,
    written: Vec<Vec<TokenId>>,
    live: Vec<Sequence>,
}

impl Bench {
    fn new(pages: usize) -> Self {
        Self { pool: Pool::new(pages), written: vec![Vec::new(); pages], live: Vec::new() }
    }

    fn open(&mut self, salt: CacheSalt, tokens: Vec<TokenId>) -> Option<usize> {
        let table = self.pool.open(salt, &tokens, tokens.len())?;
        self.live.push(Sequence { table, tokens });
        Some(self.live.last().map_or(0, |s| s.table.sealed()))
    }

    /// Computes the next page of a sequence.
    fn advance(&mut self, which: usize) {
        let Sequence { table, tokens } = &mut self.live[which];
        let page = table.pages().len();
        let end = tokens.len().min((page + 1) * PAGE_POSITIONS);
        if page * PAGE_POSITIONS >= end {
            return;
        }
        assert!(self.pool.cover(table, end), "a reserved page was not given");
        self.written[table.pages()[page].0 as usize] = tokens[..end].to_vec();
        if end == (page + 1) * PAGE_POSITIONS {
            self.pool.seal(table, &tokens[page * PAGE_POSITIONS..end]);
        }
    }

    fn finish(&mut self, which: usize) {
        let sequence = self.live.remove(which);
        self.pool.release(sequence.table);
    }

    fn check(&self) {
        let mut references = vec![0; self.pool.total()];
        for Sequence { table, tokens } in &self.live {
            for (index, page) in table.pages().iter().enumerate() {
                references[page.0 as usize] += 1;
                let end = tokens.len().min((index + 1) * PAGE_POSITIONS);
                assert_eq!(self.written[page.0 as usize], tokens[..end], "a page holds another's tokens");
            }
        }
        let counted: Vec<u32> = self.pool.pages.iter().map(|p| p.references).collect();
        assert_eq!(counted, references);
        let held = references.iter().filter(|&&r| r > 0).count();
        assert_eq!(held + self.pool.blank.len() + self.pool.idle.len(), self.pool.total());
        assert_eq!(self.pool.reserved, self.live.iter().map(|s| s.table.reserved).sum::<usize>());
        assert!(self.pool.blank.len() + self.pool.idle.len() >= self.pool.reserved, "promised too much");
        assert_eq!(self.pool.prefixes.len(), self.pool.pages.iter().filter(|p| p.key.is_some()).count());
    }
}

#[test]
fn a_known_prefix_is_shared_but_for_its_last_token() {
    let mut bench = Bench::new(8);
    assert_eq!(bench.open(SALT, prompt(&[1, 2])), Some(0));
    (0..3).for_each(|_| bench.advance(0));
    assert_eq!(bench.open(SALT, prompt(&[1, 2, 3])), Some(2));
    let exactly_two_pages = prompt(&[1, 2])[..2 * PAGE_POSITIONS].to_vec();
    assert_eq!(bench.open(SALT, exactly_two_pages), Some(1), "the last token's logits must be computed");
    bench.check();
}

#[test]
fn another_salt_finds_nothing() {
    let mut bench = Bench::new(8);
    bench.open(SALT, prompt(&[1, 2]));
    (0..3).for_each(|_| bench.advance(0));
    assert_eq!(bench.open(CacheSalt(8), prompt(&[1, 2])), Some(0));
}

#[test]
fn a_prefix_outlives_its_sequence_until_its_memory_is_wanted() {
    let mut bench = Bench::new(3);
    bench.open(SALT, prompt(&[1, 2]));
    (0..3).for_each(|_| bench.advance(0));
    bench.finish(0);
    assert_eq!(bench.pool.available(), 3);
    assert_eq!(bench.open(SALT, prompt(&[1, 2])), Some(2));
    bench.finish(0);
    // Two pages are wanted: one is blank, and the end of the idle prefix goes before its beginning.
    bench.open(SALT, prompt(&[5]));
    (0..2).for_each(|_| bench.advance(0));
    bench.finish(0);
    assert_eq!(bench.open(SALT, prompt(&[1, 2])), Some(1));
    bench.check();
}

#[test]
fn a_page_computed_twice_is_kept_once() {
    let mut bench = Bench::new(6);
    bench.open(SALT, prompt(&[1]));
    bench.open(SALT, prompt(&[1]));
    bench.advance(0);
    bench.advance(1);
    assert_eq!(bench.live[0].table.pages()[0], bench.live[1].table.pages()[0]);
    bench.check();
}

#[test]
fn more_than_is_available_is_refused_and_takes_nothing() {
    let mut bench = Bench::new(3);
    bench.open(SALT, prompt(&[1]));
    assert_eq!(bench.pool.available(), 1);
    assert_eq!(bench.open(SALT, prompt(&[2])), None);
    assert_eq!(bench.pool.available(), 1);
    let mut table = bench.pool.open(SALT, &prompt(&[]), 1).expect("one page is left");
    assert!(!bench.pool.cover(&mut table, PAGE_POSITIONS + 1), "more than was reserved");
    bench.pool.release(table);
}

#[derive(Clone, Debug)]
enum Act {
    Open(Vec<u32>, u128),
    Advance(usize),
    Finish(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (prop::collection::vec(0..2_u32, 0..5), 0..2_u128).prop_map(|(pages, salt)| Act::Open(pages, salt)),
        any::<usize>().prop_map(Act::Advance),
        any::<usize>().prop_map(Act::Advance),
        any::<usize>().prop_map(Act::Finish),
    ]
}

proptest! {
    #[test]
    fn no_page_is_lost_or_used_for_two_things(
        pages in 1_usize..12,
        acts in prop::collection::vec(act(), 1..120),
    ) {
        let mut bench = Bench::new(pages);
        for act in acts {
            let live = bench.live.len();
            match act {
                Act::Open(pages, salt) => drop(bench.open(CacheSalt(salt), prompt(&pages))),
                Act::Advance(which) if live > 0 => bench.advance(which % live),
                Act::Finish(which) if live > 0 => bench.finish(which % live),
                Act::Advance(_) | Act::Finish(_) => {}
            }
            bench.check();
        }
        while !bench.live.is_empty() {
            bench.finish(0);
        }
        bench.check();
        prop_assert_eq!(bench.pool.available(), pages);
    }
}
