-- Critical or security updates needed by machines where updates are manually applied
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Update UpdateState=Needed Optional=false (Classification="Security Updates" OR Classification="Critical Updates") Computer IN {Type=UpdateSummary WindowsUpdateSetting=Manual | Distinct Computer} | Distinct KBID
-- Note: No computer reports the setting Manual: of the documented settings (Disabled, Notify before
-- installation, Scheduled installation) the first two leave it to a human, and are meant. A
-- computer's setting is the one in its newest scan.
SELECT DISTINCT KBID
FROM Update
WHERE UpdateState = 'Needed' AND NOT Optional
    AND Classification IN ('Security Updates', 'Critical Updates')
    AND Computer IN
    (
        SELECT argMax(Computer, TimeGenerated)
        FROM UpdateSummary
        GROUP BY SourceComputerId
        HAVING argMax(WindowsUpdateSetting, TimeGenerated)
            IN ('Manual', 'Disabled', 'Notify before installation')
    )
ORDER BY KBID
