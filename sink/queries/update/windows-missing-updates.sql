-- Computer with missing updates: all Windows computers with missing updates
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Update
--   |where OSType != "Linux" and UpdateState == "Needed" and Optional == "false"
--   | project TimeGenerated, Computer, Title, KBID, Classification, MSRCSeverity, PublishedDate, _ResourceId
--   | sort by TimeGenerated desc
-- Note: Optional is a boolean here and cannot equal the text "false"; what is meant is that it is
-- false.
SELECT TimeGenerated, Computer, Title, KBID, Classification, MSRCSeverity, PublishedDate, _ResourceId
FROM Update
WHERE OSType != 'Linux' AND UpdateState = 'Needed' AND NOT Optional
ORDER BY TimeGenerated DESC
