-- Error events for machines that have missing critical or security required updates
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Event EventLevelName=error Computer IN {Type=Update (Classification="Security Updates" OR Classification="Critical Updates") UpdateState=Needed Optional=false | Distinct Computer}
-- Source: Update Management solution in Azure, June 2018
-- Original (KQL):
--   Event
--   | where EventLevelName == "error" and Computer in ((Update | where (Classification == "Security Updates" or Classification == "Critical Updates")
--   | where UpdateState == "Needed" and Optional == false
--   | distinct Computer))
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Event
--   | where EventLevelName == "error"
--       | join kind=inner (Update |where (Classification == "Security Updates" or Classification == "Critical Updates") and UpdateState == "Needed" and Optional == "false" | distinct Computer) on Computer
--       | sort by TimeGenerated desc
-- Note: Windows writes the level Error with a capital, other senders without: it is compared
-- without case. Optional is a boolean here and cannot equal the text "false"; what is meant is that
-- it is false.
SELECT *
FROM Event
WHERE lower(EventLevelName) = 'error'
    AND Computer IN
    (
        SELECT Computer
        FROM Update
        WHERE Classification IN ('Security Updates', 'Critical Updates')
            AND UpdateState = 'Needed' AND NOT Optional
    )
ORDER BY TimeGenerated DESC
