//! The same tables, mappings and graph with another database: MariaDB, whose changes are ordered by its binlog.

use std::process::Command;

use crate::legacy::{Database, Legacy, serve, until_never_half};
use crate::support::{folder, root};

/// MariaDB takes what `CASE` gives for a text: `JSON_EXTRACT` makes it JSON again.
const MARIADB: Database = Database {
    name: "mariadb",
    schema: "legacy",
    expected: [
        "SELECT concat('g-', gst_no) AS k, JSON_OBJECT('name', gst_nm, 'email', eml_adr, 'phone', tel_no, 'country', ctry_cd,
            'since', date(crt_dt)) AS node FROM gst_mst",
        "SELECT prop_cd AS k, JSON_OBJECT('name', prop_nm,
            'kind', CASE typ_cd WHEN 'EH' THEN 'ENTIRE_HOME' WHEN 'PR' THEN 'PRIVATE_ROOM' WHEN 'SR' THEN 'SHARED_ROOM'
                WHEN 'HR' THEN 'HOTEL_ROOM' ELSE 'HOTEL' END,
            'status', CASE sts_fl WHEN 'A' THEN 'LISTED' ELSE 'DELISTED' END,
            'host', JSON_EXTRACT(concat('{\"key\":\"g-', own_gst_no, '\"}'), '$'),
            'neighbourhood', area_nm, 'location', JSON_OBJECT('lat', cast(lat_deg AS double), 'lon', cast(lon_deg AS double)),
            'bedrooms', bdrm_ct, 'sleeps', max_pax,
            'amenities', JSON_EXTRACT(concat('[\"', replace(fac_tx, ';', '\",\"'), '\"]'), '$')) AS node FROM prop_mst",
        "SELECT rate_no AS k, JSON_OBJECT('property', JSON_OBJECT('key', prop_cd),
            'amount', JSON_OBJECT('minor', cast(amt_nbr * CASE ccy_cd WHEN 'JPY' THEN 1 ELSE 100 END AS integer), 'currency', ccy_cd),
            'unit', 'NIGHT', 'validFrom', fr_dt, 'validTo', to_dt + INTERVAL 1 DAY, 'minNights', min_nt,
            'status', CASE del_fl WHEN 'Y' THEN 'WITHDRAWN' ELSE 'SET' END) AS node FROM rate_cal",
        "SELECT bkng_no AS k, JSON_OBJECT('guest', JSON_OBJECT('key', concat('g-', gst_no)),
            'property', JSON_OBJECT('key', prop_cd), 'price', JSON_EXTRACT(concat('{\"key\":\"', rate_no, '\"}'), '$'),
            'checkIn', arr_dt, 'checkOut', dep_dt, 'guests', pax_ct,
            'status', CASE sts_cd WHEN '10' THEN 'BOOKED' WHEN '20' THEN 'CONFIRMED' WHEN '30' THEN 'CHECKED_IN'
                WHEN '40' THEN 'COMPLETED' WHEN '90' THEN 'CANCELLED' ELSE 'NO_SHOW' END,
            'total', JSON_OBJECT('minor', cast(tot_amt * CASE ccy_cd WHEN 'JPY' THEN 1 ELSE 100 END AS integer), 'currency', ccy_cd),
            'channel', chnl_cd,
            'bookedAt', date_format(convert_tz(crt_dt, '+08:00', '+00:00'), '%Y-%m-%dT%H:%i:%sZ'),
            'cancelledAt', date_format(convert_tz(cxl_dt, '+08:00', '+00:00'), '%Y-%m-%dT%H:%i:%sZ')) AS node FROM bkng_hdr",
    ],
};

#[test]
fn the_graph_is_mariadbs_tables_too() {
    let runs = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    if !["mariadbd", "/usr/sbin/mariadbd"].iter().any(runs) {
        println!("skipped: there is no MariaDB (Debian: mariadb-server)");
        return;
    }
    let (legacy, data) = (Legacy::start(&MARIADB), folder());
    // Read by the snapshot, or after it.
    legacy.sql(&std::fs::read_to_string(root("examples/legacy/rows.sql")).unwrap());
    let service = serve(data.path(), &legacy);
    legacy.until_same(&service, "the first rows are there");
    until_never_half(&legacy, &service);

    // Moves, deletions and returns; several rows in one event of the binlog; what is rolled back, in whole and in part.
    legacy.sql(
        "UPDATE gst_mst SET gst_no = gst_no + 1000 WHERE gst_no > 1003;
         DELETE FROM rate_cal WHERE rate_no = 50002;
         BEGIN; DELETE FROM gst_mst WHERE gst_no = 1003; UPDATE gst_mst SET gst_nm = 'NOBODY'; ROLLBACK;
         BEGIN; DELETE FROM gst_mst WHERE gst_no = 1003; SAVEPOINT half; UPDATE gst_mst SET gst_nm = 'NOBODY'; ROLLBACK TO half;
         INSERT INTO gst_mst VALUES (1003, 'AISHA RAHMAN II', NULL, NULL, 'MY', 'A', '2024-02-29 01:00:00'); COMMIT;
         REPLACE INTO gst_mst VALUES (1001, 'TAN WEI LING II', NULL, NULL, 'SG', 'A', '2019-03-04 09:12:00');
         INSERT INTO gst_mst VALUES (1002, 'X', NULL, NULL, 'SG', 'A', '2019-03-04 09:12:00') ON DUPLICATE KEY UPDATE tel_no = '+49';",
    );
    legacy.until_same(&service, "rows moved, went and came back");

    // The worker dies in a flood of changes and repeats some; then the database does, and its binlog goes on in another file.
    let flood = |from: u32| {
        format!(
            "INSERT INTO bkng_hdr SELECT concat('F-', seq), 1001 + seq % 5, concat('SG000', 1 + seq % 4), 50001,
               '2024-05-01' + INTERVAL seq % 300 DAY, '2024-05-03' + INTERVAL seq % 300 DAY, 1 + seq % 4, '10', seq * 1.25, 'SGD',
               'WEB', '2024-01-01 00:00:00' + INTERVAL seq MINUTE, NULL FROM seq_{from}_to_{};
             UPDATE bkng_hdr SET sts_cd = '20', tot_amt = tot_amt + 1 WHERE bkng_no LIKE 'F-%5';
             DELETE FROM bkng_hdr WHERE bkng_no LIKE 'F-%7';",
            from + 2999
        )
    };
    legacy.sql(&flood(1));
    legacy.does("kill", "connect");
    legacy.sql(&flood(3001));
    legacy.does("begin", "connect");
    legacy.until_same(&service, "the worker died and came back");
    legacy.sql(&flood(6001));
    legacy.does("kill", "mariadb");
    legacy.does("begin", "mariadb");
    legacy.sql("UPDATE gst_mst SET eml_adr = 'after@example.org' WHERE gst_no = 1001;");
    legacy.until_same(&service, "the database died and came back");

    // TRUNCATE ends the transaction that it stands in, and is one without an end itself. A column is added.
    legacy.sql(
        "BEGIN; UPDATE gst_mst SET gst_nm = 'BEFORE' WHERE gst_no = 1001; TRUNCATE TABLE bkng_hdr;
         INSERT INTO bkng_hdr VALUES ('B-00000009', 1001, 'SG0001', NULL, '2024-05-03', '2024-05-07', 2, '10', 840, 'SGD', NULL,
           '2024-03-18 21:05:44', NULL); COMMIT;
         ALTER TABLE bkng_hdr ADD COLUMN src_cd char(1) NOT NULL DEFAULT 'L' FIRST;
         UPDATE bkng_hdr SET pax_ct = 9, src_cd = 'N';",
    );
    legacy.until_same(&service, "the table was emptied, and got a column");

    let other = folder();
    let replica = serve(other.path(), &legacy);
    legacy.until_same(&replica, "another service reads all");
    let metrics = service.get("/metrics", &[]).text;
    let is_bad = |line: &&str| {
        ["staygraph_events_dead_total", "staygraph_transactions_split_total{"].iter().any(|name| line.starts_with(name))
            && !line.ends_with(" 0")
    };
    assert_eq!(metrics.lines().find(is_bad), None);
}
