-- Distinct missing updates cross computers: of all Windows computers
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Update
--   | where OSType != "Linux" and UpdateState == "Needed" and Optional == "false"
--   | distinct Title, Computer, _ResourceId
-- Note: Optional is a boolean here and cannot equal the text "false"; what is meant is that it is
-- false.
SELECT DISTINCT Title, Computer, _ResourceId
FROM Update
WHERE OSType != 'Linux' AND UpdateState = 'Needed' AND NOT Optional
