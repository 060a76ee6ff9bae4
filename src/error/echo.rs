//! Finds secrets of a request that a server repeats in its texts.
//!
//! Secret and text are compared by their letters and digits in lower case, as sent and with escapes undone, so that
//! escapes, letter case, line breaks and punctuation make no difference. [`RUN`] characters of a secret, or of its
//! base64, in a row count as a repetition.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::text::secret::Secret;

/// The note that replaces a text which repeats a secret.
pub(crate) const WITHHELD: &str = "[withheld: it repeats a secret of the request]";

/// How many bytes of a secret in a row count as a repetition; of a shorter secret, all of them.
const RUN: usize = 8;

/// The secrets of a request, prepared for the search.
pub(crate) struct Echoes {
    secrets: Vec<Secret>,
    /// The letters and digits of the secrets and of their base64.
    plain: Vec<Secret>,
}

impl Echoes {
    pub(crate) fn of(secrets: Vec<Secret>) -> Self {
        let mut plain: Vec<Secret> = secrets.iter().flat_map(|secret| spellings(secret.expose())).collect();
        let encoded = secrets.iter().flat_map(|secret| [0, 1, 2].map(|offset| base64(secret, offset)));
        // Fewer letters of base64 occur by chance.
        plain.extend(encoded.filter(|encoded| encoded.expose().len() >= RUN));
        Self { secrets, plain }
    }

    /// Returns whether the text repeats one of the secrets, or a part of one.
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

/// Returns the letters and digits of a text, once with escapes undone and once as sent. The characters before a secret
/// can look like the beginning of an escape that swallows its first letters.
fn spellings(text: &str) -> [Secret; 2] {
    [letters(&unescaped(text.as_bytes())), letters(text.as_bytes())]
}

/// Returns the letters and digits of a text, in lower case.
fn letters(text: &[u8]) -> Secret {
    let characters = text.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
    // A letter in lower case is at most twice as long, so the buffer never grows and leaves a copy behind.
    let mut letters = String::with_capacity(2 * text.len());
    letters.extend(characters.filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase));
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

/// Returns the length of the escape that a text ends in, and the byte that it means. It knows the escapes of URLs, of
/// JSON and programming languages, and of HTML.
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

/// Returns the letters and digits of a secret's base64 where it begins `offset` bytes after a group of three bytes.
///
/// The first and last few characters depend on the bytes around the secret, so a search must not need them.
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
