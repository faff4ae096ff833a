-- Missing required updates for server: missing updates for a specific Windows computer
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   let ComputerName = "Enter your computer name here";
--   Update
--   |where OSType != "Linux" and UpdateState == "Needed" and Optional == "false" and Computer == ComputerName
--   | project TimeGenerated, Computer, Title, KBID, Product, MSRCSeverity, PublishedDate, _ResourceId
--   | sort by TimeGenerated desc
-- Note: Optional is a boolean here and cannot equal the text "false"; what is meant is that it is
-- false.
-- Parameter ComputerName = 'Enter your computer name here'
SELECT TimeGenerated, Computer, Title, KBID, Product, MSRCSeverity, PublishedDate, _ResourceId
FROM Update
WHERE OSType != 'Linux' AND UpdateState = 'Needed' AND NOT Optional
    AND Computer = {ComputerName:String}
ORDER BY TimeGenerated DESC
