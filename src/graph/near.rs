//! A circle on the globe as ranges of the Z-order curve that `GeoPoint` indexes are in (Tropf and Herzog, 1981).

use super::index::{Code, grid, wide};
use crate::model::value::{EARTH_RADIUS_KM, GeoPoint};

/// Ranges that a circle is cut into; more of them hold fewer points outside it.
const RANGES_MAX: usize = 32;

/// A rectangle of the grid, both ends included.
#[derive(Clone, Copy)]
struct Box {
    lat: (u32, u32),
    lon: (u32, u32),
}

/// Ranges of codes that hold every point within `km` of a center, and some others.
pub fn cover(center: GeoPoint, km: f64) -> Vec<(Code, Code)> {
    let mut ranges: Vec<(u64, u64)> = boxes(center, km).into_iter().flat_map(cut).collect();
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (low, high) in ranges {
        match joined.last_mut() {
            Some((_, last)) if low <= last.saturating_add(1) => *last = (*last).max(high),
            _ => joined.push((low, high)),
        }
    }
    joined.into_iter().map(|(low, high)| (wide(low), wide(high))).collect()
}

/// The rectangle around a circle: two where it crosses the 180th meridian, all longitudes where it holds a pole.
fn boxes(center: GeoPoint, km: f64) -> Vec<Box> {
    // A little more than the circle, for what rounding takes.
    let angle = (km / EARTH_RADIUS_KM * 1.000_001 + 1e-9).min(std::f64::consts::PI);
    let (south, north) = (center.lat - angle.to_degrees(), center.lat + angle.to_degrees());
    let lat = (grid(south.max(-90.0), 90.0), grid(north.min(90.0), 90.0));
    let all = Box { lat, lon: (0, u32::MAX) };
    if south <= -90.0 || north >= 90.0 {
        return vec![all];
    }
    let sine = angle.sin() / center.lat.to_radians().cos();
    if sine >= 1.0 {
        return vec![all];
    }
    let width = sine.asin().to_degrees() + 1e-9;
    let (west, east) = (center.lon - width, center.lon + width);
    let lon = |from: f64, to: f64| (grid(from, 180.0), grid(to, 180.0));
    if west < -180.0 {
        vec![Box { lat, lon: lon(-180.0, east) }, Box { lat, lon: lon(west + 360.0, 180.0) }]
    } else if east > 180.0 {
        vec![Box { lat, lon: lon(west, 180.0) }, Box { lat, lon: lon(-180.0, east - 360.0) }]
    } else {
        vec![Box { lat, lon: lon(west, east) }]
    }
}

/// Cuts a rectangle into squares of the curve, the coarsest that are not much larger than it.
fn cut(wanted: Box) -> Vec<(u64, u64)> {
    // Squares: the corner's code, and how many bits of each coordinate are free.
    let mut open: Vec<(u64, Box, u32)> = vec![(0, Box { lat: (0, u32::MAX), lon: (0, u32::MAX) }, 32)];
    let mut done = Vec::new();
    while !open.is_empty() && open.len() + done.len() < RANGES_MAX {
        let mut next = Vec::new();
        for (code, square, bits) in open.drain(..) {
            let inside = |inner: (u32, u32), outer: (u32, u32)| outer.0 <= inner.0 && inner.1 <= outer.1;
            if bits == 0 || inside(square.lat, wanted.lat) && inside(square.lon, wanted.lon) {
                done.push((code, bits));
                continue;
            }
            let half = bits - 1;
            for quarter in 0..4u64 {
                let pick = |range: (u32, u32), upper: bool| {
                    let start = range.0 + if upper { 1 << half } else { 0 };
                    (start, start + ((1u64 << half) - 1) as u32)
                };
                let part = Box { lat: pick(square.lat, quarter & 2 != 0), lon: pick(square.lon, quarter & 1 != 0) };
                let meets = |a: (u32, u32), b: (u32, u32)| a.0 <= b.1 && b.0 <= a.1;
                if meets(part.lat, wanted.lat) && meets(part.lon, wanted.lon) {
                    next.push((code | quarter << (2 * half), part, half));
                }
            }
        }
        open = next;
    }
    done.extend(open.into_iter().map(|(code, _, bits)| (code, bits)));
    done.into_iter()
        .map(|(code, bits)| (code, code | (1u64.checked_shl(2 * bits).unwrap_or(0)).wrapping_sub(1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::index::curve;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_point_within_is_covered(
            (lat, lon) in (-90.0..=90.0f64, -180.0..=180.0f64),
            (other_lat, other_lon) in (-90.0..=90.0f64, -180.0..=180.0f64),
            share in 0.0..1.0f64, km in 0.0..20_100.0f64,
        ) {
            let center = GeoPoint { lat, lon };
            // Points near the center as well as anywhere.
            for point in [
                GeoPoint { lat: other_lat, lon: other_lon },
                GeoPoint { lat: (lat + share).min(90.0), lon: (lon - share).max(-180.0) },
                center,
            ] {
                let km = km * share;
                let covered = cover(center, km).iter().any(|(low, high)| {
                    let code = curve(point);
                    let code = [(code >> 32) as u32, code as u32, 0];
                    *low <= code && code <= *high
                });
                prop_assert!(covered || point.distance_km(&center) > km, "{point:?} {center:?} {km}");
            }
        }
    }

    #[test]
    fn a_small_circle_is_a_small_part() {
        let ranges = cover(GeoPoint { lat: 1.29, lon: 103.85 }, 2.0);
        let size: f64 = ranges
            .iter()
            .map(|(low, high)| {
                let number = |code: &Code| (u64::from(code[0]) << 32 | u64::from(code[1])) as f64;
                number(high) - number(low)
            })
            .sum();
        assert!(ranges.len() <= RANGES_MAX + 3, "{}", ranges.len());
        assert!(size / 2f64.powi(64) < 1e-6, "{}", size / 2f64.powi(64));
    }
}
