CREATE TABLE IF NOT EXISTS migrations_local ON CLUSTER CLUSTER (
    number UInt32,
    name String,
    taken_at DateTime DEFAULT now()
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/migrations', '{replica}') ORDER BY number;

CREATE TABLE IF NOT EXISTS migrations ON CLUSTER CLUSTER AS migrations_local ENGINE = Distributed(CLUSTER, currentDatabase(), migrations_local, number);

CREATE TABLE IF NOT EXISTS ticks_local ON CLUSTER CLUSTER (
    underlying String CODEC(ZSTD(1)),
    ts_ns Int64 CODEC(Delta, ZSTD(1)),
    spot Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    flip Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ngi Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    vss Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    chl Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    volg Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hpp Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    bucket Int64 CODEC(Delta, ZSTD(1)),
    coverage Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    time DateTime('UTC') MATERIALIZED toDateTime(intDiv(ts_ns, 1000000000), 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/ticks', '{replica}') PARTITION BY toMonday(time) ORDER BY (underlying, ts_ns) TTL time + INTERVAL 35 DAY;

CREATE TABLE IF NOT EXISTS ticks ON CLUSTER CLUSTER AS ticks_local ENGINE = Distributed(CLUSTER, currentDatabase(), ticks_local, cityHash64(underlying));

CREATE TABLE IF NOT EXISTS minutes_local ON CLUSTER CLUSTER (
    underlying String CODEC(ZSTD(1)),
    start_ns Int64 CODEC(Delta, ZSTD(1)),
    spot_samples Int64 CODEC(Delta, ZSTD(1)),
    spot_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    spot_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    spot_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    spot_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    flip_samples Int64 CODEC(Delta, ZSTD(1)),
    flip_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    flip_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    flip_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    flip_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ngi_samples Int64 CODEC(Delta, ZSTD(1)),
    ngi_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ngi_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ngi_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ngi_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    vss_samples Int64 CODEC(Delta, ZSTD(1)),
    vss_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    vss_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    vss_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    vss_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    chl_samples Int64 CODEC(Delta, ZSTD(1)),
    chl_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    chl_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    chl_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    chl_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    volg_samples Int64 CODEC(Delta, ZSTD(1)),
    volg_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    volg_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    volg_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    volg_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hpp_samples Int64 CODEC(Delta, ZSTD(1)),
    hpp_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hpp_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hpp_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hpp_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi_samples Int64 CODEC(Delta, ZSTD(1)),
    psi_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coverage_samples Int64 CODEC(Delta, ZSTD(1)),
    coverage_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coverage_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coverage_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coverage_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    time DateTime('UTC') MATERIALIZED toDateTime(intDiv(start_ns, 1000000000), 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/minutes', '{replica}') PARTITION BY toYYYYMM(time) ORDER BY (underlying, start_ns) TTL time + INTERVAL 400 DAY;

CREATE TABLE IF NOT EXISTS minutes ON CLUSTER CLUSTER AS minutes_local ENGINE = Distributed(CLUSTER, currentDatabase(), minutes_local, cityHash64(underlying));

CREATE TABLE IF NOT EXISTS hours_local ON CLUSTER CLUSTER (
    underlying String CODEC(ZSTD(1)),
    start_ns Int64 CODEC(Delta, ZSTD(1)),
    spot_samples Int64 CODEC(Delta, ZSTD(1)),
    spot_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    spot_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    spot_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    spot_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    flip_samples Int64 CODEC(Delta, ZSTD(1)),
    flip_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    flip_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    flip_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    flip_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ngi_samples Int64 CODEC(Delta, ZSTD(1)),
    ngi_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ngi_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ngi_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ngi_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    vss_samples Int64 CODEC(Delta, ZSTD(1)),
    vss_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    vss_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    vss_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    vss_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    chl_samples Int64 CODEC(Delta, ZSTD(1)),
    chl_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    chl_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    chl_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    chl_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    volg_samples Int64 CODEC(Delta, ZSTD(1)),
    volg_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    volg_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    volg_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    volg_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hpp_samples Int64 CODEC(Delta, ZSTD(1)),
    hpp_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hpp_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hpp_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hpp_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi_samples Int64 CODEC(Delta, ZSTD(1)),
    psi_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coverage_samples Int64 CODEC(Delta, ZSTD(1)),
    coverage_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coverage_low Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coverage_high Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coverage_last Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    time DateTime('UTC') MATERIALIZED toDateTime(intDiv(start_ns, 1000000000), 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/hours', '{replica}') PARTITION BY toYear(time) ORDER BY (underlying, start_ns) TTL time + INTERVAL 3650 DAY;

CREATE TABLE IF NOT EXISTS hours ON CLUSTER CLUSTER AS hours_local ENGINE = Distributed(CLUSTER, currentDatabase(), hours_local, cityHash64(underlying));

CREATE TABLE IF NOT EXISTS transitions_local ON CLUSTER CLUSTER (
    underlying String CODEC(ZSTD(1)),
    ts_ns Int64 CODEC(Delta, ZSTD(1)),
    model String CODEC(ZSTD(1)),
    previous String CODEC(ZSTD(1)),
    scenario String CODEC(ZSTD(1)),
    reasons String CODEC(ZSTD(1)),
    features String CODEC(ZSTD(1)),
    time DateTime('UTC') MATERIALIZED toDateTime(intDiv(ts_ns, 1000000000), 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/transitions', '{replica}') PARTITION BY toYYYYMM(time) ORDER BY (underlying, ts_ns, model) TTL time + INTERVAL 3650 DAY;

CREATE TABLE IF NOT EXISTS transitions ON CLUSTER CLUSTER AS transitions_local ENGINE = Distributed(CLUSTER, currentDatabase(), transitions_local, cityHash64(underlying));

CREATE TABLE IF NOT EXISTS thresholds_local ON CLUSTER CLUSTER (
    underlying String CODEC(ZSTD(1)),
    ts_ns Int64 CODEC(Delta, ZSTD(1)),
    model String CODEC(ZSTD(1)),
    feature String CODEC(ZSTD(1)),
    previous_lo Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    previous_mid Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    previous_hi Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    lo Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    mid Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hi Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    limited Int64 CODEC(Delta, ZSTD(1)),
    time DateTime('UTC') MATERIALIZED toDateTime(intDiv(ts_ns, 1000000000), 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/thresholds', '{replica}') PARTITION BY toYYYYMM(time) ORDER BY (underlying, ts_ns, model, feature) TTL time + INTERVAL 3650 DAY;

CREATE TABLE IF NOT EXISTS thresholds ON CLUSTER CLUSTER AS thresholds_local ENGINE = Distributed(CLUSTER, currentDatabase(), thresholds_local, cityHash64(underlying));

CREATE TABLE IF NOT EXISTS alerts_local ON CLUSTER CLUSTER (
    underlying String CODEC(ZSTD(1)),
    ts_ns Int64 CODEC(Delta, ZSTD(1)),
    kind String CODEC(ZSTD(1)),
    model String CODEC(ZSTD(1)),
    cause String CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    time DateTime('UTC') MATERIALIZED toDateTime(intDiv(ts_ns, 1000000000), 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/alerts', '{replica}') PARTITION BY toYYYYMM(time) ORDER BY (underlying, ts_ns, kind, model, cause) TTL time + INTERVAL 3650 DAY;

CREATE TABLE IF NOT EXISTS alerts ON CLUSTER CLUSTER AS alerts_local ENGINE = Distributed(CLUSTER, currentDatabase(), alerts_local, cityHash64(underlying));

CREATE TABLE IF NOT EXISTS positions_local ON CLUSTER CLUSTER (
    underlying String CODEC(ZSTD(1)),
    ts_ns Int64 CODEC(Delta, ZSTD(1)),
    model String CODEC(ZSTD(1)),
    option String CODEC(ZSTD(1)),
    expiry String CODEC(ZSTD(1)),
    strike Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    option_type String CODEC(ZSTD(1)),
    open_interest Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    net Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    lo Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hi Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    p_long Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    seen Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    time DateTime('UTC') MATERIALIZED toDateTime(intDiv(ts_ns, 1000000000), 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/positions', '{replica}') PARTITION BY toYYYYMM(time) ORDER BY (underlying, ts_ns, model, option) TTL time + INTERVAL 35 DAY;

CREATE TABLE IF NOT EXISTS positions ON CLUSTER CLUSTER AS positions_local ENGINE = Distributed(CLUSTER, currentDatabase(), positions_local, cityHash64(underlying));

CREATE TABLE IF NOT EXISTS scores_local ON CLUSTER CLUSTER (
    underlying String CODEC(ZSTD(1)),
    ts_ns Int64 CODEC(Delta, ZSTD(1)),
    model String CODEC(ZSTD(1)),
    variance_ratio Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coefficient Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coefficient_lo Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    coefficient_hi Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    psi Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    agreement Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hours Int64 CODEC(Delta, ZSTD(1)),
    outlook_share Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    outlook_cases Int64 CODEC(Delta, ZSTD(1)),
    hedge_flow_share Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    hedge_flow_cases Int64 CODEC(Delta, ZSTD(1)),
    taker_correlation Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    taker_same_sign Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    taker_quarters Int64 CODEC(Delta, ZSTD(1)),
    time DateTime('UTC') MATERIALIZED toDateTime(intDiv(ts_ns, 1000000000), 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/scores', '{replica}') PARTITION BY toYYYYMM(time) ORDER BY (underlying, ts_ns, model) TTL time + INTERVAL 3650 DAY;

CREATE TABLE IF NOT EXISTS scores ON CLUSTER CLUSTER AS scores_local ENGINE = Distributed(CLUSTER, currentDatabase(), scores_local, cityHash64(underlying));

ALTER TABLE ticks_local ON CLUSTER CLUSTER ADD COLUMN edge_below Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE ticks ON CLUSTER CLUSTER ADD COLUMN edge_below Nullable(Float64);

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_below_samples Int64 CODEC(Delta, ZSTD(1));

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_below_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_below_low Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_below_high Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_below_last Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_below_samples Int64;

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_below_mean Nullable(Float64);

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_below_low Nullable(Float64);

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_below_high Nullable(Float64);

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_below_last Nullable(Float64);

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_below_samples Int64 CODEC(Delta, ZSTD(1));

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_below_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_below_low Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_below_high Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_below_last Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_below_samples Int64;

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_below_mean Nullable(Float64);

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_below_low Nullable(Float64);

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_below_high Nullable(Float64);

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_below_last Nullable(Float64);

ALTER TABLE ticks_local ON CLUSTER CLUSTER ADD COLUMN edge_above Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE ticks ON CLUSTER CLUSTER ADD COLUMN edge_above Nullable(Float64);

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_above_samples Int64 CODEC(Delta, ZSTD(1));

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_above_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_above_low Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_above_high Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE minutes_local ON CLUSTER CLUSTER ADD COLUMN edge_above_last Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_above_samples Int64;

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_above_mean Nullable(Float64);

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_above_low Nullable(Float64);

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_above_high Nullable(Float64);

ALTER TABLE minutes ON CLUSTER CLUSTER ADD COLUMN edge_above_last Nullable(Float64);

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_above_samples Int64 CODEC(Delta, ZSTD(1));

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_above_mean Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_above_low Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_above_high Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE hours_local ON CLUSTER CLUSTER ADD COLUMN edge_above_last Nullable(Float64) CODEC(Gorilla, ZSTD(1));

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_above_samples Int64;

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_above_mean Nullable(Float64);

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_above_low Nullable(Float64);

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_above_high Nullable(Float64);

ALTER TABLE hours ON CLUSTER CLUSTER ADD COLUMN edge_above_last Nullable(Float64);

INSERT INTO migrations (number, name) VALUES
    (1, 'create ticks'),
    (2, 'create minutes'),
    (3, 'create hours'),
    (4, 'create transitions'),
    (5, 'create thresholds'),
    (6, 'create alerts'),
    (7, 'create positions'),
    (8, 'create scores'),
    (9, 'add edge_below'),
    (10, 'add edge_above');
