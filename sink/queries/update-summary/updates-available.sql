-- Summary of updates available across machines: under various categories for each machine
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   UpdateSummary
--   | where TimeGenerated>ago(14h)
--   | summarize by Computer, CriticalUpdatesMissing, SecurityUpdatesMissing, OtherUpdatesMissing, TotalUpdatesMissing, ResourceId
SELECT DISTINCT
    Computer, CriticalUpdatesMissing, SecurityUpdatesMissing, OtherUpdatesMissing, TotalUpdatesMissing, ResourceId
FROM UpdateSummary
WHERE TimeGenerated > now() - INTERVAL 14 HOUR
ORDER BY Computer
