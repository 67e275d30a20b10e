#!/bin/sh
# Makes the demo's data, base.ndjson.zst and trickle.ndjson.zst, beside this script:
#
#     assets/demo/build.sh AIRBNB_DIRECTORY HOTELS_DIRECTORY
#
# AIRBNB_DIRECTORY is Inside Airbnb's Singapore of 2023-09-23 (listings, calendar, reviews); HOTELS_DIRECTORY holds
# hotel_bookings.csv.gz. Needs cargo, python3 and zstd. README.md, here, has the sums the same input should give.
set -eu

if [ $# -ne 2 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
demo=$(cd "$(dirname "$0")" && pwd)
airbnb=$(cd "$1" && pwd)
hotels=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$demo/../.."
cargo build --release --example airbnb --example hotels
# Asked of cargo by running, since the target directory may be elsewhere.
cargo run --quiet --release --example airbnb -- "$airbnb" \
    --city Singapore --country SG --currency SGD --invent-names > "$work/airbnb.ndjson"
cargo run --quiet --release --example hotels -- "$hotels/hotel_bookings.csv.gz" > "$work/hotels.ndjson"
python3 "$demo/split.py" "$work/airbnb.ndjson" "$work/hotels.ndjson" "$work/base.ndjson" "$work/trickle.ndjson"
python3 "$demo/counts.py" "$airbnb" "$hotels" > "$work/counts.json"
python3 "$demo/check.py" "$work/counts.json" "$work/base.ndjson" "$work/trickle.ndjson"

# Level 19 keeps a window of 8 MiB, which any decoder takes; a longer one was tried and saves next to nothing.
for part in base trickle; do
    zstd --quiet --force -19 --single-thread "$work/$part.ndjson" -o "$demo/$part.ndjson.zst"
done
cp "$work/counts.json" "$demo/counts.json"
cd "$demo"
ls -l base.ndjson.zst trickle.ndjson.zst
sha256sum base.ndjson.zst trickle.ndjson.zst counts.json
(cd "$work" && sha256sum base.ndjson trickle.ndjson)
