-- A reservation system as such systems are: short names, codes for words, no foreign keys, local times of Singapore without
-- a zone, dates whose last day counts. Nobody may change it any more; everybody needs what is in it.

CREATE TABLE gst_mst (                     -- guests, and hosts, who are guests that own a property
  gst_no   integer PRIMARY KEY,
  gst_nm   varchar(80) NOT NULL,
  eml_adr  varchar(120),
  tel_no   varchar(24),
  ctry_cd  char(2),
  sts_fl   char(1) NOT NULL DEFAULT 'A',
  crt_dt   timestamp(0) NOT NULL           -- Singapore's clock
);

CREATE TABLE prop_mst (                    -- properties
  prop_cd     char(6) PRIMARY KEY,
  prop_nm     varchar(120) NOT NULL,
  typ_cd      char(2) NOT NULL,            -- EH entire home, PR private room, SR shared room, HR hotel room, HT hotel
  own_gst_no  integer,
  area_nm     varchar(60),
  lat_deg     numeric(9,6),
  lon_deg     numeric(9,6),
  bdrm_ct     smallint,
  max_pax     smallint,
  fac_tx      text,                        -- facilities, with semicolons
  sts_fl      char(1) NOT NULL DEFAULT 'A' -- A listed, X taken off
);
-- Large values lie outside the row from the start, so that the example shows what an update does not send.
ALTER TABLE prop_mst ALTER COLUMN fac_tx SET STORAGE EXTERNAL;

CREATE TABLE rate_cal (                    -- what a night costs
  rate_no  bigint PRIMARY KEY,
  prop_cd  char(6) NOT NULL,
  fr_dt    date NOT NULL,
  to_dt    date NOT NULL,                  -- the last night that it holds for
  amt_nbr  numeric(12,2) NOT NULL,
  ccy_cd   char(3) NOT NULL,
  min_nt   smallint,
  del_fl   char(1) NOT NULL DEFAULT 'N'
);

CREATE TABLE bkng_hdr (                    -- bookings
  bkng_no  varchar(12) PRIMARY KEY,
  gst_no   integer NOT NULL,
  prop_cd  char(6) NOT NULL,
  rate_no  bigint,
  arr_dt   date NOT NULL,
  dep_dt   date NOT NULL,                  -- the day of leaving
  pax_ct   smallint NOT NULL,
  sts_cd   char(2) NOT NULL,               -- 10 booked, 20 confirmed, 30 checked in, 40 completed, 90 cancelled, 95 no-show
  tot_amt  numeric(14,4) NOT NULL,         -- four digits, because they once counted in fils
  ccy_cd   char(3) NOT NULL,
  chnl_cd  varchar(6),
  crt_dt   timestamp(0) NOT NULL,          -- Singapore's clock
  cxl_dt   timestamp(0)
);
