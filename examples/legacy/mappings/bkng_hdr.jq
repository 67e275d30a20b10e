# bkng_hdr: bookings. A status is a code; times are Singapore's clock.
def put($field; $column; f): if has($column) then { ($field): (.[$column] | f) } else {} end;
def date: .[:10];
def local: if . == null then . else rtrimstr("Z") | instant("Asia/Singapore") end;
def status: {
    "10": "BOOKED", "20": "CONFIRMED", "30": "CHECKED_IN", "40": "COMPLETED", "90": "CANCELLED", "95": "NO_SHOW"
  }[.] // error("an unknown status of a booking");

.key.bkng_no as $subject
| if .op == "d" then { type: "reservation.deleted", $subject }
  else {
    type: (if .op == "u" then "reservation.changed" else "reservation.booked" end),
    $subject,
    data: (.after
      | put("guestId"; "gst_no"; "g-\(.)") + put("propertyId"; "prop_cd"; .)
      + put("priceId"; "rate_no"; if . == null then null else tostring end)
      + put("checkIn"; "arr_dt"; date) + put("checkOut"; "dep_dt"; date)
      + put("guests"; "pax_ct"; .) + put("status"; "sts_cd"; status)
      + { total: (.ccy_cd as $currency | { minor: (.tot_amt | minor($currency)), $currency }) }
      + put("channel"; "chnl_cd"; .)
      + put("bookedAt"; "crt_dt"; local) + put("cancelledAt"; "cxl_dt"; local))
  } end
