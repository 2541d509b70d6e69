-- Options in which the estimated dealer position has changed most within a day, of those whose history was seen all day.
SELECT option, min(net) AS lowest, max(net) AS highest, argMax(net, ts_ns) AS newest, max(net) - min(net) AS change
FROM positions FINAL
WHERE underlying = 'BTC' AND time >= now() - INTERVAL 1 DAY
GROUP BY option
HAVING min(seen) >= 0.9
ORDER BY change DESC
LIMIT 50
