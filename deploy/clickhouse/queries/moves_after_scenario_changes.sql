-- Range of spot in the hour after each change into SQUEEZE or CASCADE under the published model.
SELECT changes.time, changes.scenario, hour.spot_low, hour.spot_high, 100 * (hour.spot_high / hour.spot_low - 1) AS range_pct
FROM (
    SELECT time, underlying, scenario, intDiv(ts_ns, 3600000000000) * 3600000000000 + 3600000000000 AS start_ns
    FROM transitions FINAL
    WHERE underlying = 'BTC' AND model = 'flow' AND (scenario LIKE 'SQUEEZE%' OR scenario = 'CASCADE')
) AS changes
ANY LEFT JOIN (SELECT underlying, start_ns, spot_low, spot_high FROM hours FINAL) AS hour USING underlying, start_ns
ORDER BY changes.time DESC
LIMIT 100
