#!/usr/bin/env python3
"""Checks events against the event contract, and what they say in sum against counts.json.

    check.py COUNTS.json BASE.ndjson TRICKLE.ndjson
    check.py - EVENTS.ndjson …          the contract only

Reads the files in this order, as one stream. Ends with 1 at the first fault.
"""

import json
import re
import sys
from collections import Counter
from datetime import date, datetime

TOPICS = {"person": "people", "property": "properties", "price": "prices", "reservation": "reservations"}
STATUSES = {
    "reservation.booked": "BOOKED",
    "reservation.cancelled": "CANCELLED",
    "reservation.completed": "COMPLETED",
    "reservation.no-show": "NO_SHOW",
}
TYPES = {"person.registered", "property.listed", "price.set", *STATUSES}
ENVELOPE = {"specversion", "source", "type", "sequence", "id", "subject", "time", "data"}
KINDS = {"ENTIRE_HOME", "PRIVATE_ROOM", "SHARED_ROOM", "HOTEL_ROOM", "HOTEL"}


def text(value):
    return isinstance(value, str) and value != "" and "\0" not in value


def key(value):
    return text(value) and len(value.encode()) <= 128


def whole(value):
    return type(value) is int and 0 <= value < 2**31


def day(value):
    return text(value) and len(value) == 10 and date.fromisoformat(value) is not None


def money(value):
    minor, currency = value["minor"], value["currency"]
    return len(value) == 2 and type(minor) is int and abs(minor) < 2**53 and re.fullmatch("[A-Z]{3}", currency)


def place(value):
    return set(value) == {"lat", "lon"} and abs(value["lat"]) <= 90 and abs(value["lon"]) <= 180


def one_of(*values):
    return lambda value: value in values


FIELDS = {
    "person": {"name": text, "since": day, "provenance": one_of("OBSERVED", "INFERRED")},
    "property": {
        "name": text,
        "kind": one_of(*KINDS),
        "city": text,
        "neighbourhood": text,
        "country": lambda value: re.fullmatch("[A-Z]{2}", value),
        "location": place,
        "bedrooms": whole,
        "sleeps": whole,
        "amenities": lambda value: all(map(text, value)),
        "hostId": key,
        "provenance": one_of("OBSERVED"),
    },
    "price": {
        "propertyId": key,
        "amount": money,
        "unit": one_of("NIGHT"),
        "validFrom": day,
        "validTo": day,
        "minNights": whole,
        "provenance": one_of("OBSERVED"),
    },
    "reservation": {
        "guestId": key,
        "propertyId": key,
        "checkIn": day,
        "checkOut": day,
        "guests": whole,
        "total": money,
        "channel": text,
        "marketSegment": text,
        "provenance": one_of("OBSERVED", "INFERRED"),
    },
}


def unique_names(pairs):
    assert len({name for name, _ in pairs}) == len(pairs), "a name comes twice in one object"
    return dict(pairs)


def check_event(event):
    assert set(event) == ENVELOPE, f"envelope {sorted(event)}"
    assert event["specversion"] == "1.0" and event["type"] in TYPES
    assert text(event["id"]) and text(event["source"]) and key(event["subject"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", event["time"]) and datetime.fromisoformat(event["time"][:10])
    assert type(event["sequence"]) is int and event["sequence"] >= 1
    data = event["data"]
    for name, value in data.items():
        fits = FIELDS[event["type"].split(".")[0]].get(name)
        assert fits and fits(value), f"{name}: {value!r}"
    if "validFrom" in data:
        assert data["validFrom"] < data["validTo"]
    if "checkIn" in data:
        assert data["checkIn"] <= data["checkOut"]


class Stream:
    """What the events read so far add up to."""

    def __init__(self):
        self.ids = set()
        self.sequences = Counter()
        self.topics = []
        self.state = {topic: {} for topic in TOPICS.values()}
        self.not_yet_known = Counter()

    def read(self, path):
        topics = Counter()
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    event = json.loads(line, object_pairs_hook=unique_names)
                    check_event(event)
                    topics[self.apply(event)] += 1
                except (AssertionError, KeyError, TypeError, ValueError) as fault:
                    sys.exit(f"{path}: line {number}: {fault!r}: {line[:300]}")
        self.topics.append(topics)

    def apply(self, event):
        topic = TOPICS[event["type"].split(".")[0]]
        identity = (event["source"], event["id"])
        assert identity not in self.ids, "an id comes twice"
        self.ids.add(identity)
        self.sequences[topic, event["subject"]] += 1
        assert event["sequence"] == self.sequences[topic, event["subject"]], "the sequence is not dense"
        entity = self.state[topic].setdefault(event["subject"], {"source": event["source"], "time": event["time"]})
        entity.update(event["data"])
        entity["status"] = STATUSES.get(event["type"])
        for link, linked in [("hostId", "people"), ("guestId", "people"), ("propertyId", "properties")]:
            if link in event["data"] and event["data"][link] not in self.state[linked]:
                self.not_yet_known[link] += 1
        return topic


def compare(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found}, but the CSV files say {expected}")


def compare_all(stream, counts):
    for name, topics in zip(["base", "trickle"], stream.topics):
        compare(f"events in {name}", {topic: topics[topic] for topic in TOPICS.values()}, counts["events"][name])
    compare("entities", {topic: len(known) for topic, known in stream.state.items()}, counts["entities"])
    compare("links to what is not known yet", dict(stream.not_yet_known), {})
    airbnb, hotels = counts["airbnb"], counts["hotels"]["reservations"]
    people, properties, prices, reservations = (list(stream.state[topic].values()) for topic in TOPICS.values())
    stays = [stay for stay in reservations if "airbnb" in stay["source"]]
    bookings = [booking for booking in reservations if "airbnb" not in booking["source"]]
    rooms = [room for room in properties if room["kind"] != "HOTEL"]

    def per(entities, name):
        return dict(Counter(entity[name] for entity in entities))

    def days(entity, first, end):
        return (date.fromisoformat(entity[end]) - date.fromisoformat(entity[first])).days

    def most(entities, link, expected):
        degrees = Counter(entity[link] for entity in entities)
        compare(f"most by {link}", (max(degrees.values()), degrees[expected["id"]]), (expected["count"],) * 2)

    sums = {
        "people observed": (per(people, "provenance")["OBSERVED"], airbnb["people"]["observed"]),
        "people inferred": (per(people, "provenance")["INFERRED"], airbnb["people"]["inferred"]),
        "kinds": (per(rooms, "kind"), airbnb["properties"]["kinds"]),
        "neighbourhoods": (len(per(rooms, "neighbourhood")), airbnb["properties"]["neighbourhoods"]),
        "bedrooms": (sum(room.get("bedrooms", 0) for room in rooms), airbnb["properties"]["bedrooms_sum"]),
        "sleeps": (sum(room["sleeps"] for room in rooms), airbnb["properties"]["sleeps_sum"]),
        "amenities": (sum(len(room["amenities"]) for room in rooms), airbnb["properties"]["amenities"]),
        "price amounts": (sum(price["amount"]["minor"] for price in prices), airbnb["prices"]["minor_sum"]),
        "minimum nights": (sum(price["minNights"] for price in prices), airbnb["prices"]["minimum_nights_sum"]),
        "price nights": (
            sum(days(price, "validFrom", "validTo") for price in prices),
            airbnb["prices"]["nights"],
        ),
        "stays per year": (dict(Counter(stay["time"][:4] for stay in stays)), airbnb["reservations"]["per_year"]),
        "bookings per hotel": (per(bookings, "propertyId"), hotels["per_property"]),
        "bookings per status": (per(bookings, "status"), hotels["per_status"]),
        "bookings per channel": (per(bookings, "channel"), hotels["per_channel"]),
        "bookings per segment": (per(bookings, "marketSegment"), hotels["per_market_segment"]),
        "booking totals": (sum(booking["total"]["minor"] for booking in bookings), hotels["total_minor_sum"]),
        "booking nights": (sum(days(booking, "checkIn", "checkOut") for booking in bookings), hotels["nights_sum"]),
        "booking guests": (sum(booking.get("guests", 0) for booking in bookings), hotels["guests_sum"]),
        "first booking": (min(booking["time"] for booking in bookings)[:10], hotels["first_booked"]),
    }
    for what, (found, expected) in sums.items():
        compare(what, found, expected)
    most(rooms, "hostId", airbnb["people"]["host_with_most_properties"])
    most(stays, "guestId", airbnb["people"]["reviewer_with_most_reservations"])
    most(stays, "propertyId", airbnb["properties"]["with_most_reservations"])
    most(prices, "propertyId", airbnb["prices"]["property_with_most"])
    for example in airbnb["properties"]["examples_that_no_double_holds"]:
        room = stream.state["properties"][example["id"]]
        found = (room["hostId"], room.get("bedrooms"))
        compare(f"property {example['id']}", found, (example["host_id"], example["bedrooms"]))


def main(counts_path, *paths):
    stream = Stream()
    for path in paths:
        stream.read(path)
    if counts_path != "-":
        with open(counts_path, encoding="utf-8") as file:
            compare_all(stream, json.load(file))
    for path, topics in zip(paths, stream.topics):
        print(f"{path}: {sum(topics.values()):,} events, as the contract has them: {dict(topics)}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
