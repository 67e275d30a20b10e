#!/usr/bin/env python3
"""Splits the importers' events into what the demo starts with and what then trickles in.

    split.py AIRBNB.ndjson HOTELS.ndjson BASE.ndjson TRICKLE.ndjson

Kept back for the trickle: the reservation events of the last 31 days of each data set, every tenth price, and the
people who are known from reviews kept back only. The same input gives the same output.
"""

import json
import sys
from datetime import date, timedelta

DAYS_KEPT_BACK = 31
PRICES_PER_ONE_KEPT_BACK = 10
DOMAINS = ["person", "property", "price", "reservation"]


def read(path):
    """The events of a file by domain; each is (day, subject, line, guest)."""
    events = {domain: [] for domain in DOMAINS}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            day = date.fromisoformat(event["time"][:10])
            domain = event["type"].split(".")[0]
            events[domain].append((day, event["subject"], line, event["data"].get("guestId")))
    return events


def kept_back_reservations(events):
    """Splits by day, each part in the order of the days. An event never comes before its entity's earlier one."""
    first_day = max(day for day, *_ in events) - timedelta(days=DAYS_KEPT_BACK - 1)
    base, kept, latest = [], [], {}
    for day, subject, line, guest in events:
        day = latest[subject] = max(day, latest.get(subject, day))
        (kept if day >= first_day else base).append((day, subject, line, guest))
    kept.sort(key=lambda event: event[0])
    return base, kept


def with_people(reviews, people):
    """Puts each person right before the first review that names them."""
    waiting = {subject: line for _, subject, line, _ in people}
    lines = []
    for _, _, line, guest in reviews:
        if guest in waiting:
            lines.append(waiting.pop(guest))
        lines.append(line)
    assert not waiting, "a person is kept back whom no review kept back names"
    return lines


def interleave(streams):
    """Merges so that at any time the same share of each stream has passed."""
    placed = []
    for number, stream in enumerate(streams):
        # (2i + 1) / 2n is the middle of the i-th of n equal parts; integers keep it exact.
        placed += [((2 * index + 1) * 10**12 // (2 * len(stream)), number, line) for index, line in enumerate(stream)]
    return [line for _, _, line in sorted(placed, key=lambda place: place[:2])]


def main(airbnb_path, hotels_path, base_path, trickle_path):
    airbnb, hotels = read(airbnb_path), read(hotels_path)
    reviews, reviews_kept = kept_back_reservations(airbnb["reservation"])
    bookings, bookings_kept = kept_back_reservations(hotels["reservation"])
    named_in_base = {guest for *_, guest in reviews}
    hosts = {json.loads(line)["data"].get("hostId") for _, _, line, _ in airbnb["property"]}
    needed = named_in_base | hosts
    people_kept = [person for person in airbnb["person"] if person[1] not in needed]
    people = [person for person in airbnb["person"] if person[1] in needed]
    prices = [line for _, _, line, _ in airbnb["price"]]
    prices_kept = prices[PRICES_PER_ONE_KEPT_BACK - 1 :: PRICES_PER_ONE_KEPT_BACK]
    del prices[PRICES_PER_ONE_KEPT_BACK - 1 :: PRICES_PER_ONE_KEPT_BACK]

    with open(base_path, "w", encoding="utf-8", newline="\n") as base:
        for events in [people, airbnb["property"], hotels["property"]]:
            base.writelines(line for _, _, line, _ in events)
        base.writelines(prices)
        for events in [reviews, bookings]:
            base.writelines(line for _, _, line, _ in events)
    streams = [with_people(reviews_kept, people_kept), prices_kept, [line for _, _, line, _ in bookings_kept]]
    with open(trickle_path, "w", encoding="utf-8", newline="\n") as trickle:
        trickle.writelines(interleave(streams))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
