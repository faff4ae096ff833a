-- Availability rate of each connected computer
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Heartbeat
--   // bin_at is used to set the time grain to 1 hour, starting exactly 24 hours ago
--   | summarize heartbeatPerHour = count() by bin_at(TimeGenerated, 1h, ago(24h)), Computer
--   | extend availablePerHour = iff(heartbeatPerHour > 0, true, false)
--   | summarize totalAvailableHours = countif(availablePerHour == true) by Computer
--   | extend availabilityRate = totalAvailableHours*100.0/24
-- Note: The original leaves it to the portal to look at the last 24 hours only; over more the rate
-- would pass 100 per cent.
SELECT
    Computer,
    uniqExact(intDiv(dateDiff('second', TimeGenerated, now()), 3600)) AS totalAvailableHours,
    totalAvailableHours * 100.0 / 24 AS availabilityRate
FROM Heartbeat
WHERE TimeGenerated > now() - INTERVAL 24 HOUR AND TimeGenerated <= now()
GROUP BY Computer
ORDER BY availabilityRate DESC, Computer
