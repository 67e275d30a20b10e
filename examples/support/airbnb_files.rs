//! Inside Airbnb's three files, read into what the events are made of.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::money::Currency;
use super::price_runs::PriceRuns;
use super::support::Failure;
use super::support::parse;
use super::support::table::{Column, Faults, Table};

pub struct Listing {
    pub id: String,
    pub host: Option<String>,
    pub name: Option<String>,
    pub kind: Option<&'static str>,
    pub neighbourhood: Option<String>,
    pub location: Option<(f64, f64)>,
    pub bedrooms: Option<i32>,
    pub sleeps: Option<i32>,
    pub amenities: Option<Vec<String>>,
    pub scraped: Option<Date>,
    pub minor: Option<i64>,
    pub minimum_nights: Option<i32>,
}

/// A host, a reviewer, or both.
#[derive(Default)]
pub struct Person {
    pub name: Option<String>,
    pub is_host: bool,
    pub since: Option<Date>,
    pub first_review: Option<Date>,
}

pub struct Review {
    pub subject: String,
    pub listing: String,
    pub guest: Option<String>,
    pub day: Date,
}

#[derive(Default)]
pub struct Files {
    pub listings: Vec<Listing>,
    pub people: HashMap<String, Person>,
    pub runs: PriceRuns,
    pub reviews: Vec<Review>,
    pub faults: Faults,
    /// The day that `scrape_id`, else the latest `last_scraped`, gives.
    pub scraped: Option<(Date, &'static str)>,
    pub first_night: Option<Date>,
    pub listings_twice: u64,
    pub reviews_twice: u64,
}

/// The file of this name in the directory. Of two, the gzipped one: Inside Airbnb gives its short summaries the same
/// name without `.gz`.
pub fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let candidates = [format!("{name}.csv.gz"), format!("{name}.csv")];
    candidates.iter().map(|name| directory.join(name)).find(|path| path.is_file())
}

fn key(text: &str) -> Result<String, &'static str> {
    // A price's and a review's key are made of a listing's and more; 128 bytes are the most that a key may have.
    if text.len() <= 100 { Ok(text.to_owned()) } else { Err("is longer than a key may be here (100 bytes)") }
}

fn minor_units(
    table: &Table,
    column: Column,
    currency: Option<&Currency>,
    faults: &mut Faults,
) -> Result<Option<i64>, Failure> {
    match currency {
        Some(currency) => Ok(table.read(column, faults, |text| currency.minor_units(text))),
        None if table.text(column, faults).is_none() => Ok(None),
        None => Err(Failure::Usage(
            "there are prices, and the files write `$` for every currency: say which with --currency, such as EUR"
                .to_owned(),
        )),
    }
}

impl Files {
    pub fn read_listings(&mut self, path: &Path, currency: Option<&Currency>) -> Result<(), Failure> {
        let mut table = Table::open(path)?;
        let id = table.required("id")?;
        let scrape = table.column(&["scrape_id"]);
        let scraped = table.column(&["last_scraped"]);
        let price = table.column(&["price"]);
        let columns = ListingColumns::of(&table);
        let mut known = HashSet::new();
        while table.advance()? {
            let faults = &mut self.faults;
            let Some(id) = table.read_required(id, faults, key) else { continue };
            if !known.insert(id.clone()) {
                self.listings_twice += 1;
                continue;
            }
            let started = table.read(scrape, faults, scrape_day).map(|day| (day, "column `scrape_id`"));
            let scraped = table.read(scraped, faults, parse::date);
            let day = started.or(scraped.map(|day| (day, "column `last_scraped`")));
            self.scraped = self.scraped.max(day);
            let minor = minor_units(&table, price, currency, faults)?;
            let host = self.read_host(&table, &columns);
            let listing = columns.listing(id, &table, &mut self.faults);
            self.listings.push(Listing { host, scraped, minor, ..listing });
        }
        Ok(())
    }

    fn read_host(&mut self, table: &Table, columns: &ListingColumns) -> Option<String> {
        let id = table.read(columns.host, &mut self.faults, key)?;
        let name = table.text(columns.host_name, &mut self.faults);
        let since = table.read(columns.host_since, &mut self.faults, parse::date);
        let person = self.people.entry(id.clone()).or_default();
        person.is_host = true;
        person.name = person.name.take().or(name);
        person.since = person.since.or(since);
        Some(id)
    }

    /// Reads what each night costs. Whether it is available says nothing here: a night that is not may be booked
    /// or shut, and nothing tells which.
    pub fn read_calendar(&mut self, path: &Path, currency: Option<&Currency>) -> Result<(), Failure> {
        let mut table = Table::open(path)?;
        let listing = table.required("listing_id")?;
        let night = table.required("date")?;
        let price = table.column(&["price"]);
        let minimum_nights = table.column(&["minimum_nights"]);
        while table.advance()? {
            let faults = &mut self.faults;
            let Some(listing) = table.read_required(listing, faults, Ok) else { continue };
            let Some(night) = table.read_required(night, faults, parse::date) else { continue };
            self.first_night = Some(self.first_night.map_or(night, |first| first.min(night)));
            let Some(minor) = minor_units(&table, price, currency, faults)? else { continue };
            let minimum_nights = table.read(minimum_nights, faults, parse::whole);
            self.runs.add(listing, night, minor, minimum_nights);
        }
        Ok(())
    }

    /// Reads who reviewed what and when; never what they wrote.
    pub fn read_reviews(&mut self, path: &Path) -> Result<(), Failure> {
        let mut table = Table::open(path)?;
        let listing = table.required("listing_id")?;
        let day = table.required("date")?;
        let id = table.column(&["id"]);
        let reviewer = table.column(&["reviewer_id"]);
        let reviewer_name = table.column(&["reviewer_name"]);
        let mut known = HashSet::new();
        let mut numbers: HashMap<(String, Date), u32> = HashMap::new();
        while table.advance()? {
            let faults = &mut self.faults;
            let Some(listing) = table.read_required(listing, faults, key) else { continue };
            let Some(day) = table.read_required(day, faults, parse::date) else { continue };
            let subject = table.read(id, faults, key).map_or_else(
                || {
                    let number = numbers.entry((listing.clone(), day)).or_default();
                    *number += 1;
                    format!("review-{listing}-{day}-{number}")
                },
                |id| format!("review-{id}"),
            );
            if !known.insert(subject.clone()) {
                self.reviews_twice += 1;
                continue;
            }
            let guest = table.read(reviewer, faults, key);
            if let Some(guest) = &guest {
                let name = table.text(reviewer_name, faults);
                let person = self.people.entry(guest.clone()).or_default();
                person.name = person.name.take().or(name);
                person.first_review = Some(person.first_review.map_or(day, |first| first.min(day)));
            }
            self.reviews.push(Review { subject, listing, guest, day });
        }
        Ok(())
    }
}

/// The columns of a listing that are attributes, found once.
struct ListingColumns {
    host: Column,
    host_name: Column,
    host_since: Column,
    name: Column,
    kind: Column,
    neighbourhood: Column,
    latitude: Column,
    longitude: Column,
    bedrooms: Column,
    sleeps: Column,
    amenities: Column,
    minimum_nights: Column,
}

impl ListingColumns {
    fn of(table: &Table) -> ListingColumns {
        ListingColumns {
            host: table.column(&["host_id"]),
            host_name: table.column(&["host_name"]),
            host_since: table.column(&["host_since"]),
            name: table.column(&["name"]),
            kind: table.column(&["room_type"]),
            neighbourhood: table.column(&["neighbourhood_cleansed", "neighbourhood"]),
            latitude: table.column(&["latitude"]),
            longitude: table.column(&["longitude"]),
            bedrooms: table.column(&["bedrooms"]),
            sleeps: table.column(&["accommodates"]),
            amenities: table.column(&["amenities"]),
            minimum_nights: table.column(&["minimum_nights"]),
        }
    }

    fn listing(&self, id: String, table: &Table, faults: &mut Faults) -> Listing {
        let latitude = table.read(self.latitude, faults, |text| degrees(text, 90.0));
        let longitude = table.read(self.longitude, faults, |text| degrees(text, 180.0));
        Listing {
            id,
            host: None,
            name: table.text(self.name, faults),
            kind: table.read(self.kind, faults, kind),
            neighbourhood: table.text(self.neighbourhood, faults),
            location: latitude.zip(longitude),
            bedrooms: table.read(self.bedrooms, faults, parse::whole),
            sleeps: table.read(self.sleeps, faults, parse::whole),
            amenities: table.read(self.amenities, faults, amenities),
            scraped: None,
            minor: None,
            minimum_nights: table.read(self.minimum_nights, faults, parse::whole),
        }
    }
}

/// A scrape's id begins with the day it was begun on: 20230923135002.
fn scrape_day(text: &str) -> Result<Date, &'static str> {
    let part = |range| text.get(range).and_then(parse::digits);
    let day = || parse::civil(part(0..4)?, part(4..6)?, part(6..8)?);
    day().ok_or("does not begin with a date (YYYYMMDD)")
}

fn kind(text: &str) -> Result<&'static str, &'static str> {
    match text {
        "Entire home/apt" => Ok("ENTIRE_HOME"),
        "Private room" => Ok("PRIVATE_ROOM"),
        "Shared room" => Ok("SHARED_ROOM"),
        "Hotel room" => Ok("HOTEL_ROOM"),
        _ => Err("is no kind of room that the model knows"),
    }
}

fn degrees(text: &str, most: f64) -> Result<f64, &'static str> {
    text.parse().ok().filter(|degrees: &f64| degrees.abs() <= most).ok_or("is no degree of latitude or longitude")
}

fn amenities(text: &str) -> Result<Vec<String>, &'static str> {
    let amenities: Vec<String> = serde_json::from_str(text).map_err(|_| "is no JSON array of texts")?;
    if amenities.iter().any(|amenity| amenity.contains('\0')) {
        return Err("holds the character U+0000");
    }
    Ok(amenities)
}
