-- Automatic update configuration, of each computer
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   UpdateSummary
--   | summarize AggregatedValue = count() by WindowsUpdateSetting, Computer, _ResourceId
-- Note: AggregatedValue is the number of its scans.
SELECT WindowsUpdateSetting, Computer, _ResourceId, count() AS AggregatedValue
FROM UpdateSummary
GROUP BY WindowsUpdateSetting, Computer, _ResourceId
ORDER BY WindowsUpdateSetting, Computer
