-- Show the trend of a selected event: how often it was reported along the last day
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Event
--   | where EventID == 44 // this ID indicates Windows Update started downloading an update
--   | summarize count() by bin(TimeGenerated, 1h), Computer, _ResourceId // bin is used to set the time grain to 1 hour
--   | render barchart
-- Note: The original leaves it to the portal to look at the last day only. Event 44 says that
-- Windows Update started downloading an update.
SELECT toStartOfHour(TimeGenerated) AS Hour, Computer, _ResourceId, count() AS count_
FROM Event
WHERE EventID = 44 AND TimeGenerated > now() - INTERVAL 1 DAY
GROUP BY Hour, Computer, _ResourceId
ORDER BY Hour, Computer
