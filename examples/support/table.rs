//! A CSV file, plain or gzipped, whose columns are found by name, and what is wrong with its cells.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::bufread::MultiGzDecoder;

use super::{Failure, grouped, report};

/// A column of a table; one that the file does not have is empty in every row.
#[derive(Clone, Copy)]
pub struct Column {
    name: &'static str,
    index: Option<usize>,
}

/// A file, read row by row. Cells are bytes until they are asked for: free text in a broken encoding, which no
/// importer wants, must not stop the rest.
pub struct Table {
    name: String,
    reader: Reader<Box<dyn Read>>,
    headers: Vec<String>,
    row: ByteRecord,
    /// How far the reader's line of a row is behind: where lines end with CRLF it takes a row to begin at the LF.
    lines_behind: u64,
}

impl Table {
    pub fn open(path: &Path) -> Result<Table, Failure> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let unreadable = |error: &dyn std::fmt::Display| Failure::Data(format!("{name}: cannot be read: {error}"));
        let mut bytes = BufReader::with_capacity(1 << 16, File::open(path).map_err(|error| unreadable(&error))?);
        // The first bytes decide, not the name: downloads are often renamed.
        let gzipped = bytes.fill_buf().map_err(|error| unreadable(&error))?.starts_with(&[0x1f, 0x8b]);
        let input: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(bytes)) } else { Box::new(bytes) };
        let mut input = BufReader::with_capacity(1 << 16, input);
        let beginning = input.fill_buf().map_err(|error| unreadable(&error))?;
        let line_end = beginning.iter().position(|byte| *byte == b'\n').and_then(|at| at.checked_sub(1));
        let lines_behind = u64::from(line_end.and_then(|at| beginning.get(at)) == Some(&b'\r'));
        let input: Box<dyn Read> = Box::new(input);
        let mut reader = ReaderBuilder::new().has_headers(true).from_reader(input);
        let headers = reader.byte_headers().map_err(|error| Failure::Data(format!("{name}: {error}")))?;
        let headers = headers
            .iter()
            .map(|header| String::from_utf8_lossy(header).trim_start_matches('\u{feff}').trim().to_owned());
        let headers = headers.collect();
        Ok(Table { name, reader, headers, row: ByteRecord::new(), lines_behind })
    }

    /// The first of these columns that the file has.
    pub fn column(&self, names: &[&'static str]) -> Column {
        let found = names.iter().find_map(|name| Some((*name, self.headers.iter().position(|header| header == name)?)));
        match found {
            Some((name, index)) => Column { name, index: Some(index) },
            None => Column { name: names.first().copied().unwrap_or_default(), index: None },
        }
    }

    pub fn required(&self, name: &'static str) -> Result<Column, Failure> {
        let column = self.column(&[name]);
        match column.index {
            Some(_) => Ok(column),
            None => Err(Failure::Data(format!("{}: line 1 has no column `{name}`", self.name))),
        }
    }

    /// Moves to the next row; false after the last.
    pub fn advance(&mut self) -> Result<bool, Failure> {
        self.reader.read_byte_record(&mut self.row).map_err(|error| {
            Failure::Data(match error.kind() {
                csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                    let line = pos.as_ref().map_or(0, csv::Position::line) + self.lines_behind;
                    format!("{}: line {line} has {len} cells, but there are {expected_len} columns", self.name)
                }
                _ => format!("{}: after line {}: {error}", self.name, self.reader.position().line()),
            })
        })
    }

    /// The value of a cell of this row. An empty one is none; so is one that does not parse, which is a fault.
    pub fn read<'a, T>(
        &'a self,
        column: Column,
        faults: &mut Faults,
        parse: impl FnOnce(&'a str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let cell = column.index.and_then(|index| self.row.get(index))?;
        let text = match std::str::from_utf8(cell) {
            Ok(text) if !text.contains('\0') => text.trim(),
            // The text may be a person's name, so it is not shown.
            Ok(_) => return self.fault(column, faults, "holds the character U+0000", None),
            Err(_) => return self.fault(column, faults, "is not UTF-8", None),
        };
        if text.is_empty() {
            return None;
        }
        parse(text).map_or_else(|what| self.fault(column, faults, what, Some(text)), Some)
    }

    pub fn text(&self, column: Column, faults: &mut Faults) -> Option<String> {
        self.read(column, faults, |text| Ok(text.to_owned()))
    }

    /// As [`Table::read`], for a cell without which the row says nothing: an empty one is a fault too.
    pub fn read_required<'a, T>(
        &'a self,
        column: Column,
        faults: &mut Faults,
        parse: impl FnOnce(&'a str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let before = faults.total;
        let value = self.read(column, faults, parse);
        if value.is_none() && faults.total == before {
            return self.fault(column, faults, "is empty, so the row is left out", None);
        }
        value
    }

    /// Notes what is wrong with a cell of this row; always none, so that it can stand for the value.
    pub fn fault<T>(&self, column: Column, faults: &mut Faults, what: &'static str, text: Option<&str>) -> Option<T> {
        let line = self.row.position().map_or(0, csv::Position::line) + self.lines_behind;
        faults.add((self.name.clone(), column.name, what), line, text);
        None
    }
}

/// What could not be used, gathered by kind, so that a million bad rows are one line.
#[derive(Default)]
pub struct Faults {
    kinds: BTreeMap<(String, &'static str, &'static str), Fault>,
    total: u64,
}

struct Fault {
    count: u64,
    first_line: u64,
    sample: Option<String>,
}

impl Faults {
    fn add(&mut self, kind: (String, &'static str, &'static str), line: u64, text: Option<&str>) {
        self.total += 1;
        let sample = || text.map(|text| text.chars().take(40).collect());
        let fault = self.kinds.entry(kind).or_insert_with(|| Fault { count: 0, first_line: line, sample: sample() });
        fault.count += 1;
    }

    pub fn report(&self) {
        if !self.kinds.is_empty() {
            report("left out");
        }
        for ((file, column, what), fault) in &self.kinds {
            let sample = fault.sample.as_ref().map_or_else(String::new, |text| format!(" {text:?}"));
            let first = format!("first on line {}", grouped(fault.first_line));
            report(&format!("  {:>11} {file}: column `{column}`:{sample} {what} ({first})", grouped(fault.count)));
        }
    }
}
