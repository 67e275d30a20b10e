-- Invented people, places and stays.

INSERT INTO gst_mst VALUES
  (1001, 'TAN WEI LING',    'weiling.tan@example.sg',  '+65 8000 1001', 'SG', 'A', '2019-03-04 09:12:00'),
  (1002, 'MARTIN KELLER',   'm.keller@example.de',     NULL,            'DE', 'A', '2020-11-21 18:40:10'),
  (1003, 'AISHA RAHMAN',    'aisha.r@example.my',      '+60 12 000 1003', 'MY', 'A', '2021-06-30 00:00:00'),
  (1004, 'JOHN DOE (TEST)', NULL,                      NULL,            NULL, 'X', '2018-01-01 00:00:01'),
  (1005, '鈴木 花子',        'hanako@example.jp',       '+81 3 0000 1005', 'JP', 'A', '2023-12-31 23:59:59');

INSERT INTO prop_mst VALUES
  ('SG0001', 'Shophouse loft, Joo Chiat',  'EH', 1001, 'Marine Parade', 1.313200, 103.902500, 2, 4, 'WIFI;AIRCON;WASHER', 'A'),
  ('SG0002', 'Room near the reservoir',    'PR', 1001, 'Bishan',        1.351900, 103.834700, 1, 2, 'WIFI;FAN',           'A'),
  ('SG0003', 'Bunk in Little India',       'SR', 1003, 'Rochor',        1.306800, 103.851800, 0, 1, NULL,                 'A'),
  ('SG0004', 'Orchard Suites 12-07',       'HR', NULL, 'Orchard',       1.304000, 103.831800, 1, 2, 'WIFI;POOL;GYM',      'X');

INSERT INTO rate_cal VALUES
  (50001, 'SG0001', '2024-05-01', '2024-05-31',  210.00, 'SGD', 2, 'N'),
  (50002, 'SG0001', '2024-06-01', '2024-06-30',  245.50, 'SGD', 3, 'N'),
  (50003, 'SG0002', '2024-05-01', '2024-12-31',   88.00, 'SGD', 1, 'N'),
  (50004, 'SG0003', '2024-01-01', '2024-12-31', 3500.00, 'JPY', 1, 'N'),
  (50005, 'SG0004', '2024-01-01', '2024-03-31',  199.90, 'SGD', NULL, 'Y');

-- B-00000004 is of a guest and a property that were purged long ago.
INSERT INTO bkng_hdr VALUES
  ('B-00000001', 1002, 'SG0001', 50001, '2024-05-03', '2024-05-07', 2, '40',  840.0000, 'SGD', 'WEB',   '2024-03-18 21:05:44', NULL),
  ('B-00000002', 1003, 'SG0002', 50003, '2024-05-10', '2024-05-12', 1, '20',  176.0000, 'SGD', 'AGENT', '2024-04-02 08:00:00', NULL),
  ('B-00000003', 1005, 'SG0003', 50004, '2024-06-01', '2024-06-04', 1, '90', 10500.0000, 'JPY', 'WEB', '2024-04-11 23:59:59', '2024-05-01 00:30:00'),
  ('B-00000004', 9999, 'XX9999', NULL,  '2017-02-01', '2017-02-03', 2, '40',  120.0000, 'SGD', NULL,   '2016-12-24 12:00:00', NULL);
