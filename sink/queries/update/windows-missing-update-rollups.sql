-- Missing update rollups: all Windows computers with missing update rollups
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Update
--   | where OSType != "Linux" and Optional == "false" and Classification == "Update Rollups" and UpdateState == "Needed"
--   | project TimeGenerated, Computer, Title, KBID, Classification, MSRCSeverity, PublishedDate, _ResourceId
--   | sort by TimeGenerated desc
-- Note: Optional is a boolean here and cannot equal the text "false"; what is meant is that it is
-- false.
SELECT TimeGenerated, Computer, Title, KBID, Classification, MSRCSeverity, PublishedDate, _ResourceId
FROM Update
WHERE OSType != 'Linux' AND NOT Optional AND Classification = 'Update Rollups' AND UpdateState = 'Needed'
ORDER BY TimeGenerated DESC
