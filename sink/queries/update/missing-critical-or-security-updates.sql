-- All computers with missing critical or security updates
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Update UpdateState=Needed Optional=false (Classification="Security Updates" OR Classification="Critical Updates")
SELECT *
FROM Update
WHERE UpdateState = 'Needed' AND NOT Optional
    AND Classification IN ('Security Updates', 'Critical Updates')
