# rate_cal: what a night costs. The legacy's last night counts; validTo is the first day that does not.
def put($field; $column; f): if has($column) then { ($field): (.[$column] | f) } else {} end;
def date: .[:10];
def day_after: date | strptime("%Y-%m-%d") | mktime + 86400 | todate | .[:10];

"\(.key.rate_no)" as $subject
| if .op == "d" then { type: "price.deleted", $subject }
  else {
    type: (if .after.del_fl == "Y" then "price.withdrawn" elif .op == "u" then "price.changed" else "price.set" end),
    $subject,
    data: (.after
      | put("propertyId"; "prop_cd"; .)
      + put("validFrom"; "fr_dt"; date) + put("validTo"; "to_dt"; day_after)
      + { amount: (.ccy_cd as $currency | { minor: (.amt_nbr | minor($currency)), $currency }), unit: "NIGHT" }
      + put("minNights"; "min_nt"; .))
  } end
