-- Missing security or critical where update is manual: critical or security updates needed by Windows machines where updates are manually applied
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Update
--   | where OSType != "Linux" and UpdateState == "Needed" and Optional == "false"
--    |where (Classification == "Security Updates" or Classification == "Critical Updates")
--   | join kind=inner (UpdateSummary |where WindowsUpdateSetting == "Manual" |distinct Computer) on Computer
--   | distinct KBID, Computer, _ResourceId
-- Note: No computer reports the setting Manual: of the documented settings (Disabled, Notify before
-- installation, Scheduled installation) the first two leave it to a human, and are meant. A
-- computer's setting is the one in its newest scan. Optional is a boolean here and cannot equal the
-- text "false"; what is meant is that it is false.
SELECT DISTINCT KBID, Computer, _ResourceId
FROM Update
WHERE OSType != 'Linux' AND UpdateState = 'Needed' AND NOT Optional
    AND Classification IN ('Security Updates', 'Critical Updates')
    AND Computer IN
    (
        SELECT argMax(Computer, TimeGenerated)
        FROM UpdateSummary
        GROUP BY SourceComputerId
        HAVING argMax(WindowsUpdateSetting, TimeGenerated)
            IN ('Manual', 'Disabled', 'Notify before installation')
    )
ORDER BY KBID, Computer
