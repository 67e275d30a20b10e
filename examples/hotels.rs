//! Hotel bookings to canonical events: `cargo run --release --example hotels -- FILE > events.ndjson`
//!
//! FILE is `hotel_bookings.csv`, plain or gzipped: Antonio, de Almeida, Nunes, "Hotel booking demand datasets",
//! Data in Brief 22 (2019) 41–49, doi 10.1016/j.dib.2018.11.126, CC BY 4.0. The bookings of two Portuguese hotels,
//! without guests and rooms, which the authors removed: no reservation here has a guest.
//!
//! Observed: the hotel, the day of arrival, the nights, the party, the channel, the segment, the rate, the outcome
//! and its day. Worked out: the day of booking (arrival less lead time), the day of leaving (arrival plus nights; in
//! 27 rows of the data the guest left on another day), the total (average daily rate times nights). Presumed: the
//! currency, which the data does not state; the hotels are in Portugal, hence EUR. The data has no booking ids, and
//! equal rows are separate bookings, so the number of the row is the identity.
//!
//! A listing's date is not known: each hotel is listed the day before its first booking. `marketSegment` is no
//! field of the model; it is there to show what becomes of an attribute that the model does not know.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use jiff::Span;
use jiff::civil::Date;

use support::event::{Data, Output};
use support::parse;
use support::table::{Column, Faults, Table};
use support::{Failure, exit};

const SOURCE: &str = "/import/hotel-bookings";
const CURRENCY: &str = "EUR";
const CURRENCY_PLACES: u32 = 2;
const HOTELS: [(&str, &str); 2] = [("hotel-H1", "Resort Hotel"), ("hotel-H2", "City Hotel")];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Turns the hotel bookings of Antonio, de Almeida and Nunes into canonical events, as NDJSON on standard output.
#[derive(Parser)]
struct Arguments {
    /// `hotel_bookings.csv` or `hotel_bookings.csv.gz`
    file: PathBuf,
}

/// A row of the file.
struct Booking {
    number: u64,
    hotel: &'static str,
    booked: Date,
    check_in: Date,
    check_out: Date,
    guests: Option<i32>,
    total: Option<i64>,
    channel: Option<String>,
    segment: Option<String>,
    outcome: Option<(&'static str, Date)>,
}

fn main() -> ExitCode {
    exit("hotels", import(&Arguments::parse().file))
}

fn import(file: &Path) -> Result<(), Failure> {
    if !file.is_file() {
        return Err(Failure::Usage(format!("{} is no file", file.display())));
    }
    let mut faults = Faults::default();
    let bookings = read(file, &mut faults)?;
    let mut output = Output::new(SOURCE.to_owned());
    list_hotels(&bookings, &mut output)?;
    for booking in bookings {
        send(booking, &mut output)?;
    }
    output.finish()?;
    faults.report();
    Ok(())
}

fn list_hotels(bookings: &[Booking], output: &mut Output) -> Result<(), Failure> {
    let mut first_booked = BTreeMap::new();
    for booking in bookings {
        let first = first_booked.entry(booking.hotel).or_insert(booking.booked);
        *first = booking.booked.min(*first);
    }
    for (key, name) in HOTELS {
        let Some(day) = first_booked.get(key) else { continue };
        let data = Data::default().with("name", Some(name)).with("kind", Some("HOTEL")).with("country", Some("PT"));
        let data = data.with("provenance", Some("OBSERVED"));
        output.send("property.listed", key, 1, day.yesterday().unwrap_or(*day), data)?;
    }
    Ok(())
}

fn send(booking: Booking, output: &mut Output) -> Result<(), Failure> {
    let subject = format!("hb-{}", booking.number);
    let data = Data::default()
        .with("propertyId", Some(booking.hotel))
        .date("checkIn", Some(booking.check_in))
        .date("checkOut", Some(booking.check_out))
        .with("guests", booking.guests)
        .money("total", booking.total, CURRENCY)
        .with("channel", booking.channel)
        .with("marketSegment", booking.segment)
        .with("provenance", Some("OBSERVED"));
    output.send("reservation.booked", &subject, 1, booking.booked, data)?;
    match booking.outcome {
        // A day before the booking's is kept: the sequence orders the two, and the source may err.
        Some((kind, day)) => output.send(kind, &subject, 2, day, Data::default()),
        None => Ok(()),
    }
}

/// The columns, found once.
struct Columns {
    hotel: Column,
    lead_time: Column,
    arrival: [Column; 3],
    nights: [Column; 2],
    party: [Column; 3],
    rate: Column,
    channel: Column,
    segment: Column,
    status: Column,
    status_date: Column,
}

fn columns(table: &Table) -> Result<Columns, Failure> {
    let required = |name| table.required(name);
    Ok(Columns {
        hotel: required("hotel")?,
        lead_time: required("lead_time")?,
        arrival: [
            required("arrival_date_year")?,
            required("arrival_date_month")?,
            required("arrival_date_day_of_month")?,
        ],
        nights: [required("stays_in_weekend_nights")?, required("stays_in_week_nights")?],
        party: ["adults", "children", "babies"].map(|name| table.column(&[name])),
        rate: table.column(&["adr"]),
        channel: table.column(&["distribution_channel"]),
        segment: table.column(&["market_segment"]),
        status: required("reservation_status")?,
        status_date: required("reservation_status_date")?,
    })
}

fn read(file: &Path, faults: &mut Faults) -> Result<Vec<Booking>, Failure> {
    let mut table = Table::open(file)?;
    let columns = columns(&table)?;
    let mut bookings = Vec::new();
    let mut number = 0;
    while table.advance()? {
        number += 1;
        bookings.extend(booking(number, &table, &columns, faults));
    }
    Ok(bookings)
}

/// The booking of this row; none if the row cannot say which hotel or when.
fn booking(number: u64, table: &Table, columns: &Columns, faults: &mut Faults) -> Option<Booking> {
    let hotel = table.read_required(columns.hotel, faults, hotel)?;
    let lead_days = table.read_required(columns.lead_time, faults, parse::whole)?;
    let [year, month, day] = columns.arrival;
    let arrival = (
        table.read_required(year, faults, parse::whole)?,
        table.read_required(month, faults, month_number)?,
        table.read_required(day, faults, parse::whole)?,
    );
    let [weekend, week] = columns.nights;
    let nights = table.read_required(weekend, faults, parse::whole)?;
    let nights = nights.saturating_add(table.read_required(week, faults, parse::whole)?);
    let dates = || {
        let check_in = parse::civil(arrival.0, arrival.1, arrival.2)?;
        let later = |days: i32| check_in.checked_add(Span::new().try_days(days).ok()?).ok();
        Some((later(-lead_days)?, check_in, later(nights)?))
    };
    let Some((booked, check_in, check_out)) = dates() else {
        return table.fault(day, faults, "makes, with its row, no date", None);
    };
    let total =
        table.read(columns.rate, faults, |text| Ok(parse::decimal(text)?.minor_units(nights, CURRENCY_PLACES)?.0));
    Some(Booking {
        number,
        hotel,
        booked,
        check_in,
        check_out,
        guests: guests(table, columns, faults),
        total,
        channel: table.text(columns.channel, faults).filter(|text| text != "NULL"),
        segment: table.text(columns.segment, faults).filter(|text| text != "NULL"),
        outcome: outcome(table, columns, faults),
    })
}

/// The whole party, or nothing: a part of it is not its number.
fn guests(table: &Table, columns: &Columns, faults: &mut Faults) -> Option<i32> {
    let mut guests = 0_i32;
    for column in columns.party {
        guests = guests.checked_add(table.read(column, faults, parse::whole)?)?;
    }
    Some(guests)
}

fn outcome(table: &Table, columns: &Columns, faults: &mut Faults) -> Option<(&'static str, Date)> {
    let kind = table.read(columns.status, faults, |text| match text {
        "Check-Out" => Ok("reservation.completed"),
        "Canceled" => Ok("reservation.cancelled"),
        "No-Show" => Ok("reservation.no-show"),
        _ => Err("is none of Check-Out, Canceled, No-Show"),
    })?;
    Some((kind, table.read(columns.status_date, faults, status_day)?))
}

/// The copies of the data have 2015-07-31 or, after a spreadsheet in the United States, 7/31/2015.
fn status_day(text: &str) -> Result<Date, &'static str> {
    let month_first = || parse::numbers(text, '/').and_then(|[month, day, year]| parse::civil(year, month, day));
    parse::date(text).ok().or_else(month_first).ok_or("is no date (YYYY-MM-DD or M/D/YYYY)")
}

fn hotel(text: &str) -> Result<&'static str, &'static str> {
    HOTELS.iter().find(|(_, name)| *name == text).map(|(key, _)| *key).ok_or("is neither Resort Hotel nor City Hotel")
}

fn month_number(text: &str) -> Result<i32, &'static str> {
    let named = (1..).zip(MONTHS).find(|(_, name)| *name == text).map(|(number, _)| number);
    named.ok_or("is no English name of a month")
}
