-- Distinct missing updates across all computers
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Update UpdateState=Needed Optional=false | Distinct Title
-- Source: Update Management solution in Azure, June 2018
-- Original (KQL):
--   Update
--   | where UpdateState == "Needed" and Optional == false
--   | distinct Title
SELECT DISTINCT Title
FROM Update
WHERE UpdateState = 'Needed' AND NOT Optional
ORDER BY Title
