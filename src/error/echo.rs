//! Finds secrets of a request that a server repeats in its texts, and reduces such texts to plain words.
//!
//! Secret and text are compared by their letters and digits in lower case, as sent and with escapes undone,
//! so that escapes, letter case, line breaks and punctuation make no difference. [`RUN`] bytes of a secret,
//! or of its base64, in a row count as a repetition. Time and memory grow with the lengths of secrets and
//! texts, not with their product.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::text::foreign::Foreign;
use crate::text::secret::Secret;

/// The note that replaces a text which repeats a secret.
pub(crate) const WITHHELD: &str = "[withheld: it repeats a secret of the request]";

/// The number of bytes of a secret in a row that count as a repetition; for a shorter secret, its length.
const RUN: usize = 8;

/// Returns for each text whether it repeats one of the secrets, or a part of one.
pub(crate) fn find<const N: usize>(secrets: &[Secret], texts: [&str; N]) -> [bool; N] {
    let mut found = texts.map(|text| secrets.iter().any(|secret| holds(text, secret.expose())));
    let texts = texts.map(spellings);
    for secret in secrets {
        for spelling in spellings(secret.expose()).iter().flatten() {
            mark(&mut found, &texts, spelling);
        }
        for offset in 0..3 {
            let encoded = base64(secret, offset);
            // Fewer letters of base64 occur by chance.
            if encoded.expose().len() >= RUN {
                mark(&mut found, &texts, &encoded);
            }
        }
    }
    found
}

/// Marks the texts that repeat this spelling of a secret.
fn mark(found: &mut [bool], texts: &[[Option<Secret>; 2]], secret: &Secret) {
    let secret = secret.expose();
    // A quarter of a long secret at a time needs little memory.
    let block = if secret.len() < 4 * RUN * RUN { secret.len() } else { secret.len().div_ceil(4) };
    let mut rest = secret.as_bytes();
    loop {
        // Blocks overlap by a run less one byte, so that no run is lost between them.
        let runs = Runs::of(rest.get(..block + RUN - 1).unwrap_or(rest));
        for (found, texts) in found.iter_mut().zip(texts) {
            *found = *found
                || texts.iter().flatten().map(Secret::expose).any(|text| match secret.len() < RUN {
                    true => holds(text, secret),
                    false => runs.occur_in(text.as_bytes()),
                });
        }
        match rest.get(block..) {
            Some(after) if after.len() >= RUN => rest = after,
            _ => return,
        }
    }
}

fn holds(text: &str, secret: &str) -> bool {
    !secret.is_empty() && text.contains(secret)
}

/// All runs of a secret, in a sorted list behind a filter that most other runs do not pass.
struct Runs {
    sorted: Zeroizing<Vec<u64>>,
    /// A power of two of bits; a run sets the one that its hash names.
    filter: Vec<u64>,
}

impl Runs {
    fn of(secret: &[u8]) -> Self {
        let mut sorted = Zeroizing::new(Vec::with_capacity(secret.len()));
        sorted.extend(runs(secret));
        sorted.sort_unstable();
        let words = (sorted.len() / 4).next_power_of_two();
        let mut runs = Self { sorted, filter: vec![0; words] };
        for run in runs.sorted.iter() {
            let (word, bit) = place(*run, words);
            if let Some(word) = runs.filter.get_mut(word) {
                *word |= bit;
            }
        }
        runs
    }

    fn occur_in(&self, text: &[u8]) -> bool {
        runs(text).any(|run| {
            let (word, bit) = place(run, self.filter.len());
            self.filter.get(word).is_some_and(|word| word & bit != 0)
                && self.sorted.binary_search(&run).is_ok()
        })
    }
}

/// Returns the word of a filter, and the bit in it, that belong to a run.
fn place(run: u64, words: usize) -> (usize, u64) {
    // The multiplier of Fibonacci hashing: 2^64 divided by the golden ratio.
    let hash = run.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 32) as usize & (words - 1), 1 << (hash >> 26 & 63))
}

/// Returns the runs of a text, each as a number.
fn runs(text: &[u8]) -> impl Iterator<Item = u64> {
    text.windows(RUN).filter_map(|run| run.first_chunk().copied().map(u64::from_ne_bytes))
}

/// Returns the letters and digits of a text, as sent and, where it differs, with escapes undone. The
/// characters before a secret can look like the beginning of an escape that swallows its first letters.
fn spellings(text: &str) -> [Option<Secret>; 2] {
    let as_sent = letters(text.as_bytes());
    let undone = unescaped(text.as_bytes());
    let undone = (*undone != *text.as_bytes()).then(|| letters(&undone));
    [Some(as_sent), undone]
}

/// Returns the letters and digits of a text, in lower case.
fn letters(text: &[u8]) -> Secret {
    let characters = || {
        let characters = text.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
        characters.filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase)
    };
    // A buffer that grows would leave a copy behind.
    let mut letters = String::with_capacity(characters().map(char::len_utf8).sum());
    letters.extend(characters());
    Secret::new(letters)
}

/// Undoes all escapes of a text in one pass, also those that appear when an inner escape is undone.
fn unescaped(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    for byte in text {
        out.push(*byte);
        while let Some((length, meaning)) = escape_at_end(&out) {
            let start = out.len() - length;
            out.truncate(start);
            out.push(meaning);
        }
    }
    out
}

/// Returns the length of the escape that a text ends in, and the byte that it means. It knows the escapes of
/// URLs, of JSON and programming languages, and of HTML.
fn escape_at_end(text: &[u8]) -> Option<(usize, u8)> {
    let number = |digits: &[u8], radix: u8| {
        digits.iter().try_fold(0_u8, |number, digit| {
            let digit = u8::try_from(char::from(*digit).to_digit(radix.into())?).ok()?;
            number.checked_mul(radix)?.checked_add(digit)
        })
    };
    let (length, meaning) = match text {
        [.., b'%', high, low] => (3, number(&[*high, *low], 16)),
        [.., b'\\', b'x', high, low] => (4, number(&[*high, *low], 16)),
        [.., b'\\', b'u', b'0', b'0', high, low] => (6, number(&[*high, *low], 16)),
        [.., b'&', b'#', b'x' | b'X', high, low, b';'] => (6, number(&[*high, *low], 16)),
        [.., b'&', b'#', high, low, b';'] => (5, number(&[*high, *low], 10)),
        [.., b'&', b'#', high, middle, low, b';'] => (6, number(&[*high, *middle, *low], 10)),
        [.., b'&', b'l' | b'g', b't', b';'] => (4, Some(b'<')),
        [.., b'&', b'a', b'm', b'p', b';'] => (5, Some(b'&')),
        [.., b'&', b'q', b'u', b'o', b't', b';'] | [.., b'&', b'a', b'p', b'o', b's', b';'] => {
            (6, Some(b'"'))
        }
        _ => return None,
    };
    Some((length, meaning?))
}

/// Returns the letters and digits of a secret's base64 where it begins `offset` bytes after a group of three
/// bytes.
///
/// The first and last few characters depend on the bytes around the secret, so a search must not need them.
fn base64(secret: &Secret, offset: usize) -> Secret {
    let mut bytes = Zeroizing::new(Vec::with_capacity(offset + secret.expose().len()));
    bytes.resize(offset, 0);
    bytes.extend_from_slice(secret.expose().as_bytes());
    letters(Zeroizing::new(STANDARD.encode(&*bytes)).as_bytes())
}

/// A text of a server, reduced to its plain words and then escaped and cut like any foreign text.
///
/// A text may repeat a secret in an unforeseen spelling, so a list of spellings is not enough: `…` replaces
/// each word that is not plain. A plain word has ASCII letters only (also in parts joined by `_`, `-` or
/// `'`), all small, all capital or with a capital first, and at most 20 of them.
pub(crate) struct PlainWords<'a>(pub(crate) &'a str);

impl fmt::Display for PlainWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // More than is shown.
        const ENOUGH: usize = 400;
        let mut shown = String::new();
        for word in self.0.split_whitespace() {
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.push_str(if is_plain(word) { word } else { "…" });
            if shown.len() > ENOUGH {
                break;
            }
        }
        fmt::Display::fmt(&Foreign(&shown), f)
    }
}

impl fmt::Debug for PlainWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error code of a server, shown if it is short and of the characters that codes have.
pub(crate) struct PlainCode<'a>(pub(crate) &'a str);

impl fmt::Display for PlainCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_shown = self.0 == WITHHELD || is_plain_code(self.0);
        fmt::Display::fmt(&Foreign(if is_shown { self.0 } else { "…" }), f)
    }
}

impl fmt::Debug for PlainCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns whether a text looks like an error code: at most 64 bytes, of words of letters in one case, each
/// with up to six digits behind them, as in `AADSTS50076`. No other spelling of a random secret passes.
pub(crate) fn is_plain_code(code: &str) -> bool {
    let is_word = |word: &str| {
        let letters = word.trim_end_matches(|it: char| it.is_ascii_digit());
        let is_plain = letters.bytes().all(|byte| byte.is_ascii_lowercase())
            || letters.bytes().all(|byte| byte.is_ascii_uppercase())
            || letters.bytes().skip(1).all(|byte| byte.is_ascii_lowercase());
        is_plain && letters.bytes().all(|byte| byte.is_ascii_alphabetic()) && word.len() - letters.len() <= 6
    };
    (1..=64).contains(&code.len()) && code.split(['_', '.', ':', '/', ' ', '-']).all(is_word)
}

/// Returns whether a word, with the punctuation around it, is plain.
fn is_plain(word: &str) -> bool {
    const MAX_LETTERS: usize = 20;
    let start = word.trim_start_matches(['"', '\'', '(', '[']);
    let word = start.trim_end_matches(['"', '\'', ')', ']', '.', ',', ';', ':', '!', '?']);
    word.len() <= 2 * MAX_LETTERS
        && word.bytes().filter(u8::is_ascii_alphabetic).count() <= MAX_LETTERS
        && word.split(['_', '-', '\'']).all(|part| {
            let small = part.bytes().filter(u8::is_ascii_lowercase).count();
            let capital = part.bytes().filter(u8::is_ascii_uppercase).count();
            let is_capitalised = capital == 1 && part.starts_with(|first: char| first.is_ascii_uppercase());
            small + capital == part.len() && (small == 0 || capital == 0 || is_capitalised)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(secret: &str, text: &str) -> bool {
        find(&[Secret::new(secret)], [text]) == [true]
    }

    #[test]
    fn every_run_of_a_long_secret_is_found() {
        let secret: String =
            (0..100_u32).map(|number| format!("{:08x}", number.wrapping_mul(0x9e37_79b9))).collect();
        for start in (0..secret.len() - RUN).step_by(7).chain(secret.len() / 4 - 20..secret.len() / 4 + 20) {
            let run = secret.get(start..start + RUN).unwrap();
            assert_eq!(
                find(&[Secret::new(&*secret)], [run, run.get(1..).unwrap(), "a harmless text"]),
                [true, false, false],
                "{start}"
            );
        }
    }

    #[test]
    fn only_plain_words_are_shown() {
        for (text, shown) in [
            ("token is gone", "token is gone"),
            ("The CODE (expired): don't re-use a refresh_token, \"please\"!", ""),
            (WITHHELD, ""),
            ("Tok3n", "…"),
            ("toKen", "…"),
            ("TOKen", "…"),
            ("abcdefghijklmnopqrst", "abcdefghijklmnopqrst"),
            ("abcdefghijklmnopqrstu", "…"),
            ("abcd-efgh-ijkl-mnop-qrst-uvwx", "…"),
            (
                "bad \u{43f}\u{43b}, &amp; &#x0002B; 7061 a=b a/b a\\b a%b \u{e9}t\u{e9}",
                "bad … … … … … … … … …",
            ),
            ("a\r\nb\u{202e}c\u{1b}[2J", "a …"),
            ("https://as.example/?code=x", "…"),
            ("", ""),
        ] {
            let shown = if shown.is_empty() { text } else { shown };
            assert_eq!(PlainWords(text).to_string(), format!("{shown:?}"));
        }
        assert!(PlainWords(&"word ".repeat(100_000)).to_string().len() < 400);
    }

    #[test]
    fn a_code_is_shown_if_it_looks_like_one() {
        for (code, is_shown) in [
            ("invalid_grant", true),
            ("AADSTS50076: a/b-c", true),
            (WITHHELD, true),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
            ("", false),
            ("a\r\nb", false),
            ("a+b", false),
            ("66616b652d726566", false),
            ("fakeRefreshToken", false),
            ("gone_1234567", false),
            ("a%2Bb", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(PlainCode(code).to_string(), format!("{:?}", if is_shown { code } else { "…" }));
        }
    }

    #[test]
    fn letters_and_digits_are_what_is_left_after_all_escapes() {
        for (text, left) in [
            ("a-B c\n9", "abc9"),
            ("%41%62", "ab"),
            ("%25252541", "a"),
            ("%2%35%34%31", "a"),
            ("&amp;#x41;&amp;amp;#65;&#065;", "aaa"),
            ("%5Cu0041%5cx41", "aa"),
            ("a&lt;b&quot;c&apos;d", "abcd"),
            ("%c3%84%FF", "ä"),
            ("%4 %zz %+1 &#x; \\u00", "4zz1xu00"),
        ] {
            assert_eq!(letters(&unescaped(text.as_bytes())).expose(), left, "{text}");
        }
    }

    /// Found by fuzzing: the first letter of the secret was taken for the end of an escape.
    #[test]
    fn what_looks_like_an_escape_before_a_secret_or_in_it_hides_nothing() {
        for (secret, text) in [
            ("cafe-secret", "%0cafe-secr"),
            ("cafe-secret", "\\x1cafe-secr"),
            ("fake%41secret", "is 41secret right?"),
            ("fake%41secret", "is akeAsecr right?"),
        ] {
            assert!(repeats(secret, text), "{secret} in {text}");
        }
        assert!(!repeats("cafe-secret", "%0ca-se"));
    }

    #[test]
    fn base64_is_found_wherever_the_secret_stands() {
        for before in ["", "1", "22", "333", "4444"] {
            for after in ["", "1", "22", "333"] {
                let text = STANDARD.encode(format!("{before}fake-secret{after}"));
                assert!(repeats("fake-secret", &text), "{before} {after}");
            }
        }
        assert!(!repeats("fake-secret", &STANDARD.encode("fake-other-text")));
    }
}
