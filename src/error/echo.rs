//! Whether a text of the server repeats a secret of the request, in whatever spelling.
//!
//! Both are compared by their letters and digits alone, in lower case, as they stand and with escapes undone, so that
//! other escapes, letter case, line breaks or punctuation make no difference. [`RUN`] characters of a secret in a
//! row are a repetition, so that a part of it is one too; and so is a part of its base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::text::secret::Secret;

/// What stands in place of a text that repeats a secret.
pub(crate) const WITHHELD: &str = "[withheld: it repeats a secret of the request]";

/// How many bytes of a secret in a row are a repetition of it; of a shorter secret it takes all.
const RUN: usize = 8;

/// The secrets of a request, ready to be looked for.
pub(crate) struct Echoes {
    secrets: Vec<Secret>,
    /// The letters and digits of the secrets and of their base64.
    plain: Vec<Secret>,
}

impl Echoes {
    pub(crate) fn of(secrets: Vec<Secret>) -> Self {
        let mut plain: Vec<Secret> = secrets.iter().flat_map(|secret| spellings(secret.expose())).collect();
        let encoded = secrets.iter().flat_map(|secret| [0, 1, 2].map(|offset| base64(secret, offset)));
        // A few letters of base64 could be anything.
        plain.extend(encoded.filter(|encoded| encoded.expose().len() >= RUN));
        Self { secrets, plain }
    }

    /// Whether one of the secrets, or a part of one, is in the text.
    pub(crate) fn occur_in(&self, text: &str) -> bool {
        let holds = |text: &str, secret: &str| !secret.is_empty() && text.contains(secret);
        if self.secrets.iter().any(|secret| holds(text, secret.expose())) {
            return true;
        }
        let texts = spellings(text);
        let (short, long): (Vec<_>, Vec<_>) =
            self.plain.iter().map(Secret::expose).partition(|secret| secret.len() < RUN);
        let mut runs: Vec<&[u8]> = long.iter().flat_map(|secret| secret.as_bytes().windows(RUN)).collect();
        runs.sort_unstable();
        texts.iter().map(Secret::expose).any(|text| {
            short.iter().any(|secret| holds(text, secret))
                || text.as_bytes().windows(RUN).any(|run| runs.binary_search(&run).is_ok())
        })
    }
}

/// The letters and digits of a text without its escapes, and with them: what looks like one may be a sign before a
/// secret.
fn spellings(text: &str) -> [Secret; 2] {
    [letters(&unescaped(text.as_bytes())), letters(text.as_bytes())]
}

/// The letters and digits of a text, in lower case.
fn letters(text: &[u8]) -> Secret {
    let characters = text.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
    // A letter in lower case is less than twice as long, so that the buffer never leaves a copy behind.
    let mut letters = String::with_capacity(2 * text.len());
    letters.extend(characters.filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase));
    Secret::new(letters)
}

/// A text without escapes, however often it was escaped, in one pass: what an escape stands for may be a part
/// of the next one.
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

/// The length of the escape that a text ends in, and the byte that it stands for: those of URLs, of JSON and
/// other programs' texts, and of HTML.
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

/// The letters and digits of a secret's base64 where it stands `offset` bytes after a group of three.
///
/// The first few hang on what stands before the secret, and the last on what follows: nothing has these.
fn base64(secret: &Secret, offset: usize) -> Secret {
    let mut bytes = Zeroizing::new(Vec::with_capacity(offset + secret.expose().len()));
    bytes.resize(offset, 0);
    bytes.extend_from_slice(secret.expose().as_bytes());
    letters(Zeroizing::new(STANDARD.encode(&*bytes)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(Echoes::of(vec![Secret::new(secret)]).occur_in(text), "{secret} in {text}");
        }
        assert!(!Echoes::of(vec![Secret::new("cafe-secret")]).occur_in("%0ca-se"));
    }

    #[test]
    fn base64_is_found_wherever_the_secret_stands() {
        let secret = Secret::new("fake-secret");
        let echoes = Echoes::of(vec![secret]);
        for before in ["", "1", "22", "333", "4444"] {
            for after in ["", "1", "22", "333"] {
                let text = STANDARD.encode(format!("{before}fake-secret{after}"));
                assert!(echoes.occur_in(&text), "{before} {after}");
            }
        }
        assert!(!echoes.occur_in(&STANDARD.encode("fake-other-text")));
    }
}
