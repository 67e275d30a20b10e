#!/usr/bin/env python3
"""What the demo's graph must hold, counted from the CSV files by another way than the importers'.

    counts.py AIRBNB_DIRECTORY HOTELS_DIRECTORY > counts.json

Shares no code with the importers, so that a test of the projected graph against counts.json tests both.
"""

import csv
import gzip
import json
import sys
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

DAYS_KEPT_BACK = 31
KINDS = {
    "Entire home/apt": "ENTIRE_HOME",
    "Private room": "PRIVATE_ROOM",
    "Shared room": "SHARED_ROOM",
    "Hotel room": "HOTEL_ROOM",
}
OUTCOMES = {"Check-Out": "COMPLETED", "Canceled": "CANCELLED", "No-Show": "NO_SHOW"}
HOTELS = {"Resort Hotel": "hotel-H1", "City Hotel": "hotel-H2"}


def rows(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def ordered(counter):
    return dict(sorted(counter.items()))


def first_of(counter):
    """The most frequent, and of equals the one with the smallest key."""
    key, count = min(counter.items(), key=lambda item: (-item[1], item[0]))
    return {"id": key, "count": count}


def cents(text):
    return int(Decimal(text.replace("$", "").replace(",", "")) * 100)


def price_runs(path):
    """Runs of equal price: each listing's nights by date, cut where a day is skipped or the price differs."""
    nights = defaultdict(dict)
    for row in rows(path):
        nights[row["listing_id"]][row["date"]] = (row["price"], row["minimum_nights"])
    runs = []
    for listing, prices in nights.items():
        before = None
        for night in sorted(prices):
            price, minimum = prices[night]
            day_before = (date.fromisoformat(night) - timedelta(days=1)).isoformat()
            if before == (day_before, price):
                runs[-1]["nights"] += 1
            else:
                runs.append({"listing": listing, "minor": cents(price), "nights": 1, "minimum": int(minimum)})
            before = (night, price)
    return runs


def airbnb(directory):
    listings = {row["id"]: row for row in rows(f"{directory}/listings.csv.gz")}
    reviews = list(rows(f"{directory}/reviews.csv.gz"))
    runs = price_runs(f"{directory}/calendar.csv.gz")
    hosts = {row["host_id"] for row in listings.values()}
    reviewers = {row["reviewer_id"] for row in reviews}
    last_day = date.fromisoformat(max(row["date"] for row in reviews))
    first_kept = (last_day - timedelta(days=DAYS_KEPT_BACK - 1)).isoformat()
    kept = [row for row in reviews if row["date"] >= first_kept]
    earlier = {row["reviewer_id"] for row in reviews if row["date"] < first_kept}
    beyond_double = sorted((key for key in listings if int(key) > 2**53), key=int)
    exactly_beyond = [key for key in beyond_double if int(float(key)) != int(key)]
    amounts = Counter(run["minor"] for run in runs)
    bedrooms = [int(row["bedrooms"]) for row in listings.values() if row["bedrooms"]]
    return {
        "people": {
            "total": len(hosts | reviewers),
            "hosts": len(hosts),
            "reviewers": len(reviewers),
            "both": len(hosts & reviewers),
            "observed": len(hosts),
            "inferred": len(reviewers - hosts),
            "host_with_most_properties": first_of(Counter(row["host_id"] for row in listings.values())),
            "reviewer_with_most_reservations": first_of(Counter(row["reviewer_id"] for row in reviews)),
            "ids_of_both": sorted(hosts & reviewers),
            "earliest_host_since": min(row["host_since"] for row in listings.values()),
        },
        "properties": {
            "total": len(listings),
            "with_reservations": len({row["listing_id"] for row in reviews}),
            "kinds": ordered(Counter(KINDS[row["room_type"]] for row in listings.values())),
            "neighbourhoods": len({row["neighbourhood_cleansed"] for row in listings.values()}),
            "neighbourhood_with_most": first_of(Counter(row["neighbourhood_cleansed"] for row in listings.values())),
            "bedrooms_known": len(bedrooms),
            "bedrooms_sum": sum(bedrooms),
            "sleeps_sum": sum(int(row["accommodates"]) for row in listings.values()),
            "amenities": sum(len(json.loads(row["amenities"])) for row in listings.values()),
            "with_most_reservations": first_of(Counter(row["listing_id"] for row in reviews)),
            "ids_beyond_2_53": len(beyond_double),
            "ids_that_no_double_holds": len(exactly_beyond),
            "examples_that_no_double_holds": [
                {
                    "id": key,
                    "host_id": listings[key]["host_id"],
                    "bedrooms": int(listings[key]["bedrooms"] or 0) or None,
                }
                for key in exactly_beyond[:: max(1, len(exactly_beyond) // 5)][:5]
            ],
        },
        "prices": {
            "total": len(runs),
            "nights": sum(run["nights"] for run in runs),
            "minor_sum": sum(run["minor"] for run in runs),
            "minor_least": min(amounts),
            "minor_most": max(amounts),
            "distinct_amounts": len(amounts),
            "minimum_nights_sum": sum(run["minimum"] for run in runs),
            "property_with_most": first_of(Counter(run["listing"] for run in runs)),
        },
        "reservations": {
            "total": len(reviews),
            "per_year": ordered(Counter(row["date"][:4] for row in reviews)),
            "first_day": min(row["date"] for row in reviews),
            "last_day": max(row["date"] for row in reviews),
            "ids_beyond_2_53": sum(int(row["id"]) > 2**53 for row in reviews),
        },
        "kept_back": {
            "from": first_kept,
            "reservation_events": len(kept),
            "people": len({row["reviewer_id"] for row in kept} - earlier - hosts),
            "prices": len(runs) // 10,
        },
    }


def day_of_status(text):
    return datetime.strptime(text, "%m/%d/%Y").date()


def hotels(directory):
    table = list(rows(f"{directory}/hotel_bookings.csv.gz"))
    bookings = []
    for row in table:
        arrival = datetime.strptime(
            f"{row['arrival_date_day_of_month']} {row['arrival_date_month']} {row['arrival_date_year']}", "%d %B %Y"
        ).date()
        nights = int(row["stays_in_weekend_nights"]) + int(row["stays_in_week_nights"])
        total = (Decimal(row["adr"]) * nights * 100).to_integral_value(rounding=ROUND_HALF_UP)
        party = [row["adults"], row["children"], row["babies"]]
        bookings.append(
            {
                "hotel": HOTELS[row["hotel"]],
                "outcome": OUTCOMES[row["reservation_status"]],
                "booked": arrival - timedelta(days=int(row["lead_time"])),
                "arrival": arrival,
                "ended": day_of_status(row["reservation_status_date"]),
                "nights": nights,
                "total": int(total),
                "guests": sum(map(int, party)) if "NA" not in party else None,
                "channel": row["distribution_channel"],
                "segment": row["market_segment"],
            }
        )
    days = [booking[when] for booking in bookings for when in ("booked", "ended")]
    first_kept = max(days) - timedelta(days=DAYS_KEPT_BACK - 1)
    guests = [booking["guests"] for booking in bookings if booking["guests"] is not None]

    def per(name):
        return ordered(Counter(booking[name] for booking in bookings))

    return {
        "properties": {"total": len(HOTELS)},
        "reservations": {
            "total": len(bookings),
            "events": 2 * len(bookings),
            "per_property": per("hotel"),
            "per_status": per("outcome"),
            "per_property_and_status": {
                hotel: ordered(Counter(booking["outcome"] for booking in bookings if booking["hotel"] == hotel))
                for hotel in HOTELS.values()
            },
            "per_channel": per("channel"),
            "per_market_segment": per("segment"),
            "per_year_of_arrival": ordered(Counter(str(booking["arrival"].year) for booking in bookings)),
            "nights_sum": sum(booking["nights"] for booking in bookings),
            "nights_none": sum(booking["nights"] == 0 for booking in bookings),
            "guests_known": len(guests),
            "guests_sum": sum(guests),
            "total_minor_sum": sum(booking["total"] for booking in bookings),
            "total_minor_least": min(booking["total"] for booking in bookings),
            "total_minor_most": max(booking["total"] for booking in bookings),
            "first_booked": min(booking["booked"] for booking in bookings).isoformat(),
            "last_booked": max(booking["booked"] for booking in bookings).isoformat(),
            "first_ended": min(booking["ended"] for booking in bookings).isoformat(),
            "last_ended": max(booking["ended"] for booking in bookings).isoformat(),
        },
        "kept_back": {"from": first_kept.isoformat(), "reservation_events": sum(day >= first_kept for day in days)},
    }


def main(airbnb_directory, hotels_directory):
    rooms, nights = airbnb(airbnb_directory), hotels(hotels_directory)
    total = {
        "people": rooms["people"]["total"],
        "properties": rooms["properties"]["total"] + nights["properties"]["total"],
        "prices": rooms["prices"]["total"],
        "reservations": rooms["reservations"]["total"] + nights["reservations"]["events"],
    }
    trickle = {
        "people": rooms["kept_back"]["people"],
        "properties": 0,
        "prices": rooms["kept_back"]["prices"],
        "reservations": rooms["kept_back"]["reservation_events"] + nights["kept_back"]["reservation_events"],
    }
    base = {topic: count - trickle[topic] for topic, count in total.items()}
    entities = dict(total, reservations=rooms["reservations"]["total"] + nights["reservations"]["total"])
    counts = {
        "entities": entities,
        "events": {"base": base, "trickle": trickle, "all": total},
        "airbnb": rooms,
        "hotels": nights,
    }
    json.dump(counts, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
