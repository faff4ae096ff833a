-- Updates available for Linux machines, by classification and computer
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Update
--   | where TimeGenerated>ago(14h)
--   | where UpdateState =~ "Needed" and OSType == "Linux"
--   | summarize by Computer, Classification, Product, ProductVersion, ResourceId
SELECT DISTINCT Computer, Classification, Product, ProductVersion, ResourceId
FROM Update
WHERE TimeGenerated > now() - INTERVAL 14 HOUR
    AND UpdateState = 'Needed' AND OSType = 'Linux'
