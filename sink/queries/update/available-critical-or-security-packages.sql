-- All packages that have an update available which addresses a critical or security vulnerability
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Update  and OSType=Linux and UpdateState!="Not needed" and (Classification="Critical Updates" OR Classification="Security Updates")
SELECT *
FROM Update
WHERE OSType = 'Linux' AND UpdateState != 'Not needed'
    AND Classification IN ('Security Updates', 'Critical Updates')
