# gst_mst: guests. A column that the change did not send sets nothing.
def put($field; $column; f): if has($column) then { ($field): (.[$column] | f) } else {} end;
def trimmed: if . == null then . else trim end;
# Singapore's clock. Some converters write a Z on times that have no zone.
def local: if . == null then . else rtrimstr("Z") | instant("Asia/Singapore") end;

"g-\(.key.gst_no)" as $subject
| if .op == "d" then { type: "person.deleted", $subject }
  else {
    type: (if .op == "u" then "person.profile-changed" else "person.registered" end),
    $subject,
    data: (.after
      | put("name"; "gst_nm"; .) + put("email"; "eml_adr"; .) + put("phone"; "tel_no"; .)
      + put("country"; "ctry_cd"; trimmed)
      + put("since"; "crt_dt"; .[:10])
      + put("registeredAt"; "crt_dt"; local)
      + put("blocked"; "sts_fl"; . == "X"))
  } end
