-- Missing critical security updates: all Windows computers that are missing critical updates or security updates
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Update
--   |where  OSType != "Linux" and UpdateState == "Needed" and Optional == "false" and (Classification == "Security Updates" or Classification == "Critical Updates")
--   | sort by TimeGenerated desc
-- Note: Optional is a boolean here and cannot equal the text "false"; what is meant is that it is
-- false.
SELECT *
FROM Update
WHERE OSType != 'Linux' AND UpdateState = 'Needed' AND NOT Optional
    AND Classification IN ('Security Updates', 'Critical Updates')
ORDER BY TimeGenerated DESC
