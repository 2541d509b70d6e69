-- Share of the ticks of the last week in each scenario: 1 PIN, 2 DAMP, 3 DRIFT, 4 FLIP-ZONE, 5 SQUEEZE, 6 CASCADE.
SELECT underlying, bucket, count() AS ticks, round(100 * count() / any(total), 1) AS share_pct
FROM ticks FINAL
ANY INNER JOIN (
    SELECT underlying, count() AS total FROM ticks FINAL
    WHERE bucket > 0 AND time >= now() - INTERVAL 7 DAY GROUP BY underlying
) AS totals USING underlying
WHERE bucket > 0 AND time >= now() - INTERVAL 7 DAY
GROUP BY underlying, bucket
ORDER BY underlying, bucket
