-- Computers with automatic update disabled
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=UpdateSummary WindowsUpdateSetting=Manual
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   UpdateSummary
--   | where WindowsUpdateSetting == "Manual"
--   | sort by TimeGenerated desc
-- Note: No computer reports the setting Manual: of the documented settings (Disabled, Notify before
-- installation, Scheduled installation) the first two leave it to a human, and are meant. There is
-- a row for each scan, the newest on top.
SELECT *
FROM UpdateSummary
WHERE WindowsUpdateSetting IN ('Manual', 'Disabled', 'Notify before installation')
ORDER BY TimeGenerated DESC
