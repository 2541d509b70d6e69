-- Mean hedge pressure and the move of spot of each hour of the last 30 days: did pressure go before moves?
SELECT time, hpp_mean, 100 * (spot_last / spot_low - 1) AS above_low_pct, 100 * (1 - spot_last / spot_high) AS below_high_pct
FROM hours FINAL
WHERE underlying = 'BTC' AND time >= now() - INTERVAL 30 DAY
ORDER BY time
