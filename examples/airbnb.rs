//! Inside Airbnb's files to canonical events: `cargo run --release --example airbnb -- DIR > events.ndjson`
//!
//! DIR holds `listings`, and may hold `calendar` and `reviews`, each `.csv` or `.csv.gz`, of any city and year as
//! insideairbnb.com offers them. Columns are found by name; one that is missing is an attribute that is not sent.
//!
//! | file | event | standing |
//! |---|---|---|
//! | listings, a row's host | `person.registered` on the day of `host_since`, else the scrape's | observed |
//! | listings, a row | `property.listed` on the day it was seen: the day it was listed is not published | observed |
//! | calendar, nights of equal price | `price.set` on the day of the scrape; a price asked, not paid | observed |
//! | reviews, a reviewer | `person.registered` on the day of the first review here, "no later than" | inferred |
//! | reviews, a row | `reservation.completed` on the day of the review | inferred |
//!
//! A review implies a stay and nothing else: no dates, no nights, no price are made up, and stays nobody reviewed
//! are not seen. A night that is not available may be booked or shut, so it is no reservation. What reviewers wrote
//! is never read. A listing that the calendar has no price for has its own, if the file says one.

#[path = "support/airbnb_files.rs"]
mod airbnb_files;
#[path = "support/money.rs"]
mod money;
#[path = "support/names.rs"]
mod names;
#[path = "support/price_runs.rs"]
mod price_runs;
mod support;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use jiff::civil::Date;
use serde_json::json;

use airbnb_files::{Files, Listing, Person, Review, find};
use money::Currency;
use price_runs::{PriceRuns, Run};
use support::event::{Data, Output};
use support::{Failure, exit, grouped, parse, report};

/// Turns Inside Airbnb's files of a city into canonical events, as NDJSON on standard output.
#[derive(Parser)]
struct Arguments {
    /// The directory with listings, calendar and reviews, as .csv or .csv.gz
    directory: PathBuf,
    /// The city [default: the directory's name, if it is like singapore-2023-09-23]
    #[arg(long)]
    city: Option<String>,
    /// The country's two capitals [default: SG for Singapore, else none is sent]
    #[arg(long, value_name = "CC", value_parser = country)]
    country: Option<String>,
    /// The currency of the prices, three capitals [default: SGD for Singapore, else needed if there are prices]
    #[arg(long, value_name = "CUR", value_parser = Currency::named)]
    currency: Option<Currency>,
    /// The day of the scrape [default: as the files say, else the directory's name]
    #[arg(long, value_name = "DATE", value_parser = scrape_date)]
    scraped: Option<Date>,
    /// Replace the names of hosts and reviewers by invented ones, made from their ids
    #[arg(long)]
    invent_names: bool,
}

fn country(text: &str) -> Result<String, String> {
    let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if plain { Ok(text.to_owned()) } else { Err("a country is two capitals, such as PT".to_owned()) }
}

fn scrape_date(text: &str) -> Result<Date, String> {
    parse::date(text).map_err(|what| format!("it {what}"))
}

fn main() -> ExitCode {
    exit("airbnb", import(&Arguments::parse()))
}

/// What the files themselves do not say.
struct Place {
    city: String,
    country: Option<String>,
    currency: Option<Currency>,
}

fn import(arguments: &Arguments) -> Result<(), Failure> {
    let directory = &arguments.directory;
    let Some(listings) = find(directory, "listings") else {
        let message = format!("{} has no listings.csv.gz and no listings.csv", directory.display());
        return Err(Failure::Usage(message));
    };
    let (named_city, named_day) = directory_says(directory);
    let place = place(arguments, named_city)?;
    let mut files = Files::default();
    files.read_listings(&listings, place.currency.as_ref())?;
    if let Some(path) = find(directory, "calendar") {
        files.read_calendar(&path, place.currency.as_ref())?;
    }
    if let Some(path) = find(directory, "reviews") {
        files.read_reviews(&path)?;
    }
    let given = arguments.scraped.map(|day| (day, "--scraped"));
    let said = given.or(files.scraped).or(files.first_night.map(|day| (day, "the calendar's first night")));
    let Some((scraped, origin)) = said.or(named_day.map(|day| (day, "the directory's name"))) else {
        return Err(Failure::Usage("the files do not say when they were scraped: say it with --scraped".to_owned()));
    };
    report(&format!("{}, scraped {scraped} (from {origin})", place.city));
    send(files, &place, scraped, arguments.invent_names)
}

/// The city and the day in a directory's name such as singapore-2023-09-23.
fn directory_says(directory: &Path) -> (Option<String>, Option<Date>) {
    let Ok(directory) = directory.canonicalize() else { return (None, None) };
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let split = name.len().checked_sub(10).and_then(|at| name.split_at_checked(at));
    let Some((city, day)) = split.and_then(|(city, day)| Some((city, parse::date(day).ok()?))) else {
        return (None, None);
    };
    let words = city.split(['-', '_', ' ']).filter(|word| !word.is_empty());
    let capitalised: Vec<String> = words.map(capitalised).collect();
    (Some(capitalised.join(" ")).filter(|city| !city.is_empty()), Some(day))
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn place(arguments: &Arguments, named_city: Option<String>) -> Result<Place, Failure> {
    let Some(city) = arguments.city.clone().or(named_city).filter(|city| !slug(city).is_empty()) else {
        let message = "the city is not known: say it with --city, or name the directory like singapore-2023-09-23";
        return Err(Failure::Usage(message.to_owned()));
    };
    // One city is a country with one currency, so its name says both.
    let is_singapore = slug(&city) == "singapore" && arguments.country.as_ref().is_none_or(|country| country == "SG");
    let country = arguments.country.clone().or(is_singapore.then(|| "SG".to_owned()));
    let known = if is_singapore { Currency::named("SGD").ok() } else { None };
    Ok(Place { city, country, currency: arguments.currency.clone().or(known) })
}

/// The city as a segment of a URI.
fn slug(city: &str) -> String {
    let mut slug = String::new();
    for character in city.to_lowercase().chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character);
        } else if character.is_alphanumeric() {
            let mut buffer = [0; 4];
            slug.extend(character.encode_utf8(&mut buffer).bytes().map(|byte| format!("%{byte:02X}")));
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

fn send(files: Files, place: &Place, scraped: Date, invent_names: bool) -> Result<(), Failure> {
    let listed: HashSet<String> = files.listings.iter().map(|listing| listing.id.clone()).collect();
    let mut notes = vec![
        (files.listings_twice, "listings came twice: the first row stands"),
        (files.reviews_twice, "reviews came twice: the first row stands"),
    ];
    let both = files.people.values().filter(|person| person.is_host && person.first_review.is_some()).count();
    let orphans = files.reviews.iter().filter(|review| !listed.contains(&review.listing)).count();
    notes.push((both as u64, "people are hosts and reviewers: one event each"));
    notes.push((orphans as u64, "reviews name a listing that is not in listings: kept, the property is a reference"));

    let mut output = Output::new(format!("/import/inside-airbnb/{}/{scraped}", slug(&place.city)));
    send_people(files.people.into_iter().collect(), scraped, invent_names, &mut output)?;
    let own_prices = own_prices(&files.listings, &files.runs);
    send_properties(files.listings, place, scraped, &mut output)?;
    if let Some(currency) = &place.currency {
        notes.extend(send_prices(files.runs, own_prices, &listed, currency, scraped, &mut output)?);
    }
    send_reservations(files.reviews, &mut output)?;
    output.finish()?;
    for (count, note) in notes.iter().filter(|(count, _)| *count > 0) {
        report(&format!("  {:>11} {note}", grouped(*count)));
    }
    files.faults.report();
    Ok(())
}

fn send_people(
    people: Vec<(String, Person)>,
    scraped: Date,
    invent_names: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let day = |person: &Person| {
        let known = if person.is_host { person.since } else { person.first_review };
        known.unwrap_or(scraped)
    };
    let mut people: Vec<(Date, String, Person)> =
        people.into_iter().map(|(id, person)| (day(&person), id, person)).collect();
    people.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
    for (day, id, person) in people {
        let name = person.name.map(|name| if invent_names { names::invented(&id) } else { name });
        let provenance = if person.is_host { "OBSERVED" } else { "INFERRED" };
        let data = Data::default().with("name", name).date("since", person.since).with("provenance", Some(provenance));
        output.send("person.registered", &id, 1, day, data)?;
    }
    Ok(())
}

fn send_properties(
    mut listings: Vec<Listing>,
    place: &Place,
    scraped: Date,
    output: &mut Output,
) -> Result<(), Failure> {
    let day = |listing: &Listing| listing.scraped.unwrap_or(scraped);
    listings.sort_by(|left, right| (day(left), &left.id).cmp(&(day(right), &right.id)));
    for listing in listings {
        let day = day(&listing);
        let data = Data::default()
            .with("name", listing.name)
            .with("kind", listing.kind)
            .with("city", Some(place.city.as_str()))
            .with("neighbourhood", listing.neighbourhood)
            .with("country", place.country.as_deref())
            .with("location", listing.location.map(|(lat, lon)| json!({ "lat": lat, "lon": lon })))
            .with("bedrooms", listing.bedrooms)
            .with("sleeps", listing.sleeps)
            .with("amenities", listing.amenities)
            .with("hostId", listing.host)
            .with("provenance", Some("OBSERVED"));
        output.send("property.listed", &listing.id, 1, day, data)?;
    }
    Ok(())
}

/// A price that a listing's own row says, and the fewest nights it is for.
type OwnPrice = (String, i64, Option<i32>);

/// The prices of the listings' own rows, where the calendar has none for the listing.
fn own_prices(listings: &[Listing], runs: &PriceRuns) -> Vec<OwnPrice> {
    let without = listings.iter().filter(|listing| !runs.knows(&listing.id));
    without.filter_map(|listing| Some((listing.id.clone(), listing.minor?, listing.minimum_nights))).collect()
}

fn send_prices(
    runs: PriceRuns,
    own_prices: Vec<OwnPrice>,
    listed: &HashSet<String>,
    currency: &Currency,
    scraped: Date,
    output: &mut Output,
) -> Result<[(u64, &'static str); 3], Failure> {
    let (runs, twice) = runs.finish();
    let orphans = runs.iter().filter(|(listing, _)| !listed.contains(listing)).count();
    let own_count = own_prices.len();
    let own = own_prices.into_iter().map(|(listing, minor, minimum_nights)| (listing, None, minor, minimum_nights));
    let spans = runs.into_iter().map(|(listing, run)| (listing, Some(run), run.minor, run.minimum_nights));
    let mut prices: Vec<(String, Option<Run>, i64, Option<i32>)> = own.chain(spans).collect();
    prices.sort_by(|left, right| (&left.0, left.1.map(|run| run.first)).cmp(&(&right.0, right.1.map(|run| run.first))));
    for (listing, run, minor, minimum_nights) in prices {
        let subject = run.map_or_else(|| listing.clone(), |run| format!("{listing}-{}", run.first));
        let data = Data::default()
            .with("propertyId", Some(listing))
            .money("amount", Some(minor), &currency.code)
            .with("unit", Some("NIGHT"))
            .date("validFrom", run.map(|run| run.first))
            .date("validTo", run.map(|run| run.end))
            .with("minNights", minimum_nights)
            .with("provenance", Some("OBSERVED"));
        output.send("price.set", &subject, 1, scraped, data)?;
    }
    Ok([
        (own_count as u64, "prices are a listing's own: the calendar has none for it"),
        (orphans as u64, "prices name a listing that is not in listings: kept, the property is a reference"),
        (twice, "nights came twice in the calendar: the first row stands"),
    ])
}

fn send_reservations(mut reviews: Vec<Review>, output: &mut Output) -> Result<(), Failure> {
    reviews.sort_by(|left, right| (left.day, &left.subject).cmp(&(right.day, &right.subject)));
    for review in reviews {
        let data = Data::default()
            .with("guestId", review.guest)
            .with("propertyId", Some(review.listing))
            .with("channel", Some("airbnb"))
            .with("provenance", Some("INFERRED"));
        output.send("reservation.completed", &review.subject, 1, review.day, data)?;
    }
    Ok(())
}
