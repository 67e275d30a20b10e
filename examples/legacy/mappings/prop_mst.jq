# prop_mst: properties.
def put($field; $column; f): if has($column) then { ($field): (.[$column] | f) } else {} end;
def kind: { EH: "ENTIRE_HOME", PR: "PRIVATE_ROOM", SR: "SHARED_ROOM", HR: "HOTEL_ROOM", HT: "HOTEL" }[.]
  // error("an unknown type of property");
def status: { A: "LISTED", X: "DELISTED" }[.] // error("an unknown status of a property");
def location: if has("lat_deg") then
    { location: (if .lat_deg == null or .lon_deg == null then null
                 else { lat: (.lat_deg | tonumber), lon: (.lon_deg | tonumber) } end) }
  else {} end;

.key.prop_cd as $subject
| if .op == "d" then { type: "property.deleted", $subject }
  else {
    type: (if .op == "u" then "property.details-changed" else "property.listed" end),
    $subject,
    data: (.after
      | put("name"; "prop_nm"; .) + put("kind"; "typ_cd"; kind) + put("status"; "sts_fl"; status)
      + put("hostId"; "own_gst_no"; if . == null then null else "g-\(.)" end)
      + put("neighbourhood"; "area_nm"; .) + location
      + put("bedrooms"; "bdrm_ct"; .) + put("sleeps"; "max_pax"; .)
      + put("amenities"; "fac_tx"; if . == null then null else split(";") end)
      + { city: "Singapore", country: "SG" })
  } end
