-- Computers availability today: the number of computers that send, each hour
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Heartbeat
--   | summarize dcount(ComputerIP) by bin(TimeGenerated, 1h)
--   | render timechart
SELECT toStartOfHour(TimeGenerated) AS Hour, uniqExact(ComputerIP) AS dcount_ComputerIP
FROM Heartbeat
GROUP BY Hour
ORDER BY Hour
