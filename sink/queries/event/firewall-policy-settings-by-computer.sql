-- Windows Firewall policy settings changed, by machine
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | where EventLog == "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall" and EventID == 2008
--   | summarize count() by Computer
--   | limit 10000
SELECT Computer, count() AS count_
FROM Event
WHERE EventLog = 'Microsoft-Windows-Windows Firewall With Advanced Security/Firewall' AND EventID = 2008
GROUP BY Computer
ORDER BY count_ DESC, Computer
LIMIT 10000
