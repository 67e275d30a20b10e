//! The words of a text, as `@search` compares them: Unicode's word boundaries, without case and diacritics.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

use crate::model::cell::Cell;

/// A longer word is cut; nobody types more.
const WORD_CHARS_MAX: usize = 64;

/// The words of a text in its order, some of them twice perhaps.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().map(|word| {
        let plain = word.nfkd().filter(|letter| !is_combining_mark(*letter));
        plain.flat_map(char::to_lowercase).take(WORD_CHARS_MAX).collect()
    })
}

/// The words of a field's value: of a text, or of a list's texts.
pub fn words_of(cell: Cell<'_>) -> Vec<String> {
    match cell {
        Cell::String(text) => words(text).collect(),
        Cell::List(items) => items.iter().flat_map(words_of).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_diacritics_do_not_count() {
        let found: Vec<String> = words("Café  «Zürich», 2-bedroom; ＡＢＣ İstanbul").collect();
        assert_eq!(found, ["cafe", "zurich", "2", "bedroom", "abc", "istanbul"]);
        assert_eq!(words(" ,;– ").count(), 0);
    }
}
