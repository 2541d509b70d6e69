-- Distance from spot to the gamma flip by hour of the day, UTC, over 30 days; hours without a flip are left out.
SELECT toHour(time) AS hour, avg(100 * (spot_last / flip_last - 1)) AS above_flip_pct, count() AS hours
FROM hours FINAL
WHERE underlying = 'BTC' AND flip_last IS NOT NULL AND time >= now() - INTERVAL 30 DAY
GROUP BY hour
ORDER BY hour
