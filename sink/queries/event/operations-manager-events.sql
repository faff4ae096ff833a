-- Operations Manager events with IDs in the range of 2000 to 3000
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | where EventLog == "Operations Manager" and (EventID >= 2000 and EventID <= 3000)
--   | sort by TimeGenerated desc
SELECT *
FROM Event
WHERE EventLog = 'Operations Manager' AND EventID BETWEEN 2000 AND 3000
ORDER BY TimeGenerated DESC
