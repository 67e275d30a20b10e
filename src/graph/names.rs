//! Texts that few entities do not share: sources, types, topics. A number each, for as long as the graph lives.
//!
//! Not for what an entity owns: a person's values lie in that person's record alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::{DefaultHashBuilder, HashMap};

#[derive(Default)]
pub struct Names {
    texts: RwLock<Vec<Arc<str>>>,
    bytes: AtomicUsize,
}

impl Names {
    /// Bytes that they take, about.
    pub fn size(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// All texts, by their numbers.
    pub fn all(&self) -> Vec<Arc<str>> {
        self.texts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn text(&self, name: u32) -> Arc<str> {
        let texts = self.texts.read().unwrap_or_else(PoisonError::into_inner);
        texts.get(name as usize).cloned().unwrap_or_default()
    }
}

/// The writer's way from text to number.
#[derive(Default)]
pub struct Naming {
    numbers: HashMap<Arc<str>, u32, DefaultHashBuilder>,
    /// By number: its own list, which needs no lock.
    texts: Vec<Arc<str>>,
    /// The last texts asked for, by their length: events come in runs of few.
    recent: [Option<(Arc<str>, u32)>; RECENT],
}

const RECENT: usize = 16;

impl Naming {
    /// The text of a number that was given.
    pub fn text(&self, number: u32) -> &Arc<str> {
        &self.texts[number as usize]
    }

    pub fn number(&mut self, names: &Names, text: &str) -> u32 {
        let place = text.len() % RECENT;
        if let Some((known, number)) = &self.recent[place]
            && **known == *text
        {
            return *number;
        }
        if let Some((known, number)) = self.numbers.get_key_value(text) {
            self.recent[place] = Some((known.clone(), *number));
            return *number;
        }
        let text: Arc<str> = text.into();
        let mut texts = names.texts.write().unwrap_or_else(PoisonError::into_inner);
        let number = texts.len() as u32;
        texts.push(text.clone());
        self.texts.push(text.clone());
        // Its counts, its address in both lists, and its entry in the writer's table.
        let beside = 6 * size_of::<usize>() + size_of::<(Arc<str>, u32)>();
        names.bytes.fetch_add(text.len() + beside, Ordering::Relaxed);
        self.numbers.insert(text, number);
        number
    }
}
