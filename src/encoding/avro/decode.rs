//! A record's bytes, walked by the schema. Every length is held against the bytes that are left before it is believed, and
//! every list against the room that the output may take, since items of no bytes cost nothing to claim.

use super::schema::{Schema, Shape};
use crate::encoding::fault::{Fault, Fit};
use crate::encoding::semantic::{self, Semantic};
use crate::encoding::{DEPTH_MAX, OUT_BYTES_MAX, decimal, json};

impl Schema {
    /// Appends a record's JSON. The bytes must be that record and no more.
    pub(in crate::encoding) fn write(&self, bytes: &[u8], out: &mut Vec<u8>) -> Fit {
        let mut walk = Decoding { nodes: &self.nodes, input: bytes, out_max: out.len() + OUT_BYTES_MAX };
        walk.value(self.root, 0, out)?;
        match walk.input.len() {
            0 => Ok(()),
            left => Err(Fault::new(format!("{left} bytes are left behind the record"))),
        }
    }
}

struct Decoding<'a> {
    nodes: &'a [Shape],
    /// What is left of the record.
    input: &'a [u8],
    out_max: usize,
}

impl<'a> Decoding<'a> {
    fn value(&mut self, place: usize, depth: usize, out: &mut Vec<u8>) -> Fit {
        let nodes = self.nodes;
        match &nodes[place] {
            Shape::Null => out.extend_from_slice(b"null"),
            Shape::Boolean => match self.take(1)? {
                [0] => json::boolean(false, out),
                [1] => json::boolean(true, out),
                _ => return Err(Fault::new("a boolean is neither 0 nor 1")),
            },
            Shape::Int(semantic) => semantic::integer(*semantic, self.int()?.into(), out),
            Shape::Long(semantic) => semantic::integer(*semantic, self.long()?, out),
            Shape::Float => json::single(f32::from_le_bytes(self.array()?), out),
            Shape::Double => json::double(f64::from_le_bytes(self.array()?), out),
            Shape::Text(semantic) => semantic::text(*semantic, self.text()?, out),
            Shape::Bytes(Some(Semantic::BigDecimal)) => big_decimal(self.bytes()?, out)?,
            Shape::Bytes(semantic) => semantic::bytes(*semantic, self.bytes()?, out)?,
            Shape::Fixed(size, semantic) => semantic::bytes(*semantic, self.take(*size)?, out)?,
            Shape::Enum(symbols) => {
                let place = usize::try_from(self.int()?).ok();
                let symbol = place.and_then(|place| symbols.get(place));
                out.extend_from_slice(symbol.ok_or_else(|| Fault::new("an enum's symbol is not in the schema"))?);
            }
            Shape::Union(branches) => {
                let place = usize::try_from(self.long()?).ok();
                let branch = place.and_then(|place| branches.get(place).copied());
                let branch = branch.ok_or_else(|| Fault::new("a union's branch is not in the schema"))?;
                self.value(branch, self.deeper(depth, out)?, out)?;
            }
            Shape::Record(fields) => {
                let depth = self.deeper(depth, out)?;
                for field in fields {
                    out.extend_from_slice(&field.lead);
                    self.value(field.node, depth, out).map_err(|fault| fault.within(&field.name))?;
                }
                out.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
            }
            Shape::ScaledDecimal { scale_first } => {
                let (scale, value) = if *scale_first {
                    (self.int()?, self.bytes()?)
                } else {
                    let value = self.bytes()?;
                    (self.int()?, value)
                };
                decimal::unscaled(value, scale, out).map_err(Fault::new)?;
            }
            Shape::Array(items) => self.array_of(*items, depth, out)?,
            Shape::Map(values) => self.map_of(*values, depth, out)?,
        }
        Ok(())
    }

    fn array_of(&mut self, items: usize, depth: usize, out: &mut Vec<u8>) -> Fit {
        out.push(b'[');
        let mut index = 0;
        loop {
            let count = self.block()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                if index > 0 {
                    out.push(b',');
                }
                let depth = self.deeper(depth, out)?;
                self.value(items, depth, out).map_err(|fault| fault.at(index))?;
                index += 1;
            }
        }
        out.push(b']');
        Ok(())
    }

    fn map_of(&mut self, values: usize, depth: usize, out: &mut Vec<u8>) -> Fit {
        out.push(b'{');
        let mut is_first = true;
        loop {
            let count = self.block()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                if !is_first {
                    out.push(b',');
                }
                is_first = false;
                json::text(self.text()?, out);
                out.push(b':');
                let depth = self.deeper(depth, out)?;
                self.value(values, depth, out).map_err(Fault::under_key)?;
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// The depth of what a value holds, unless that is too deep, or too much was written.
    fn deeper(&self, depth: usize, out: &[u8]) -> Fit<usize> {
        if depth == DEPTH_MAX {
            return Err(Fault::new(format!("values are nested more than {DEPTH_MAX} deep")));
        }
        if out.len() > self.out_max {
            return Err(Fault::new(format!("the record has more than {OUT_BYTES_MAX} bytes as JSON")));
        }
        Ok(depth + 1)
    }

    /// How many items come next; 0 ends them. A negative count is followed by the block's bytes, which nobody needs here.
    fn block(&mut self) -> Fit<u64> {
        let count = self.long()?;
        if count < 0 {
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }

    fn take(&mut self, count: usize) -> Fit<&'a [u8]> {
        let (taken, rest) = self.input.split_at_checked(count).ok_or_else(ends_early)?;
        self.input = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Fit<[u8; N]> {
        let (taken, rest) = self.input.split_first_chunk().ok_or_else(ends_early)?;
        self.input = rest;
        Ok(*taken)
    }

    fn bytes(&mut self) -> Fit<&'a [u8]> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| Fault::new("a length is negative"))?;
        self.take(length)
    }

    fn text(&mut self) -> Fit<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Fault::new("a text is not UTF-8"))
    }

    fn int(&mut self) -> Fit<i32> {
        i32::try_from(self.long()?).map_err(|_| Fault::new("an int has more than 32 bits"))
    }

    /// A zigzag varint.
    fn long(&mut self) -> Fit<i64> {
        let mut value = 0u64;
        for (index, byte) in self.input.iter().enumerate().take(10) {
            // The tenth byte has room for one bit.
            if index == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.input = &self.input[index + 1..];
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(if self.input.len() < 10 { ends_early() } else { Fault::new("a number has more than 64 bits") })
    }
}

#[cold]
fn ends_early() -> Box<Fault> {
    Fault::new("the bytes end too early for the schema")
}

/// Avro's `big-decimal`: the integer's bytes and its scale, encoded once more.
fn big_decimal(bytes: &[u8], out: &mut Vec<u8>) -> Fit {
    let mut walk = Decoding { nodes: &[], input: bytes, out_max: 0 };
    let (value, scale) = (walk.bytes()?, walk.int()?);
    if !walk.input.is_empty() {
        return Err(Fault::new("bytes are left behind a decimal"));
    }
    decimal::unscaled(value, scale, out).map_err(Fault::new)
}
