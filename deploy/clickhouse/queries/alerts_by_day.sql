-- Alerts of each kind and cause by day.
SELECT toDate(time) AS day, underlying, kind, cause, count() AS alerts
FROM alerts FINAL
GROUP BY day, underlying, kind, cause
ORDER BY day DESC, underlying, kind, cause
