-- Windows Firewall policy settings changed
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | where EventLog == "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall" and EventID == 2008
--   | sort by TimeGenerated desc
SELECT *
FROM Event
WHERE EventLog = 'Microsoft-Windows-Windows Firewall With Advanced Security/Firewall' AND EventID = 2008
ORDER BY TimeGenerated DESC
