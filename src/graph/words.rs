//! The words of a text, as `@search` compares them: Unicode's word boundaries, full case folding, and of marks those that make
//! another word.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_segmentation::UnicodeSegmentation;

use crate::model::cell::Cell;

/// A longer word is cut; nobody types more.
const WORD_CHARS_MAX: usize = 64;

/// The words of a text in its order, some of them twice perhaps.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let seen: String = text.chars().filter(|character| !is_unseen(*character)).map(straight).collect();
    let words: Vec<String> = seen.unicode_words().map(folded).collect();
    words.into_iter()
}

/// A text with its case folded, as Unicode's full case folding has it.
pub fn fold_case(text: &str) -> String {
    text.chars().default_case_fold().collect()
}

/// A word as it is compared. Case folding may make marks (of İ) and compositions, so that it is taken apart once more.
fn folded(word: &str) -> String {
    let apart = word.nfkd().default_case_fold().nfkd().filter(|letter| !is_accent(*letter));
    apart.map(bare).take(WORD_CHARS_MAX).collect()
}

/// What is not seen, and does not count: soft hyphens, joiners, directions, selectors of variants and the like. Unicode's property
/// Default_Ignorable_Code_Point.
fn is_unseen(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The apostrophe that keyboards have, for those that typography has.
fn straight(character: char) -> char {
    match character {
        '‘' | '’' | '‛' | 'ʼ' | 'ʻ' | 'ʹ' | '′' | '＇' | '`' | '´' => '\'',
        other => other,
    }
}

/// Whether a mark is an accent or a point, which does not count. By its combining class: overlays, Hebrew's, Arabic's and Syriac's
/// points, and what stands above or below a letter. Not so what makes another letter or syllable: the voiced marks of kana, nuktas,
/// viramas, and vowel signs and tones of Indic scripts, of Thai, Lao and Tibetan.
fn is_accent(letter: char) -> bool {
    matches!(canonical_combining_class(letter), 1 | 10..=36 | 200..=240)
}

/// A letter without the stroke through it, which Unicode does not take apart; and the dotless i as the other one, since capitals do
/// not tell them apart. The letters are those whose names end in WITH STROKE, their lower case alone.
fn bare(letter: char) -> char {
    match letter {
        'ⱥ' => 'a',
        'ƀ' | 'ᵬ' => 'b',
        'ȼ' | 'ꞓ' => 'c',
        'đ' | 'ᵭ' => 'd',
        'ɇ' => 'e',
        'ꞙ' | 'ᵮ' => 'f',
        'ǥ' | 'ꞡ' => 'g',
        'ħ' => 'h',
        'ɨ' | 'ı' | 'ᵻ' => 'i',
        'ɉ' => 'j',
        'ꝁ' | 'ꝃ' | 'ꝅ' | 'ꞣ' => 'k',
        'ł' | 'ƚ' | 'ꝉ' => 'l',
        'ꞥ' | 'ᵰ' => 'n',
        'ø' | 'ɵ' | 'ꝋ' => 'o',
        'ᵽ' | 'ꝑ' => 'p',
        'ꝗ' => 'q',
        'ɍ' | 'ꞧ' => 'r',
        'ꞩ' => 's',
        'ŧ' | 'ⱦ' => 't',
        'ʉ' | 'ᵾ' => 'u',
        'ꝟ' => 'v',
        'ɏ' => 'y',
        'ƶ' => 'z',
        'ғ' => 'г',
        'ҟ' => 'к',
        'ұ' => 'ү',
        other => other,
    }
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

    #[test]
    fn spellings_of_one_word_are_one() {
        for (one, other) in [
            ("Οδυσσεύς", "ΟΔΥΣΣΕΥΣ"),
            ("Οδυσσεύς", "οδυσσευσ"),
            ("Straße", "STRASSE"),
            ("Straße", "STRAẞE"),
            ("ﬁne", "FINE"),
            ("Işık", "IŞIK"),
            ("Işık", "ışık"),
            ("Işık", "isik"),
            ("İzmir", "izmir"),
            ("Łódź", "Lodz"),
            ("ŁÓDŹ", "łódź"),
            ("Øst Đặng Ħal Ŧ Ƶ", "ost dang hal t z"),
            ("O’Brien", "O'Brien"),
            ("Oʼbrien O‘Brien", "o'brien o'brien"),
            ("Ma\u{ad}rina", "marina"),
            ("Ma\u{200b}ri\u{2060}na\u{fe0f}", "Marina"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("ﾊﾟﾘ", "パリ"),
            ("ハ\u{309a}リ", "パリ"),
            ("مُحَمَّد", "محمد"),
            ("שָׁלוֹם", "שלום"),
            ("Ёлка", "елка"),
            ("ǅ", "ǆ"),
            ("ᏸ", "Ᏸ"),
            ("ΐ", "Ϊ́"),
        ] {
            assert_eq!(words(one).collect::<Vec<_>>(), words(other).collect::<Vec<_>>(), "{one} {other}");
        }
    }

    #[test]
    fn marks_that_make_another_word_count() {
        for (one, other) in [
            ("パリ", "ハリ"),
            ("バリ", "パリ"),
            ("がく", "かく"),
            ("दिन", "दान"),
            ("की", "कि"),
            ("फ़न", "फन"),
            ("ไก่", "ไก้"),
            ("ปู", "ปี"),
            ("ka", "kb"),
        ] {
            assert_ne!(words(one).collect::<Vec<_>>(), words(other).collect::<Vec<_>>(), "{one} {other}");
        }
    }
}
