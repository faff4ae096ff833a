-- All computers with missing updates
--
-- Source: Update Management solution in Azure, June 2018
-- Original (KQL):
--   Update
--   | where UpdateState == "Needed" and Optional == false
--   | project Computer, Title, KBID, Classification, PublishedDate
-- Note: Add OSType = 'Linux' or OSType != 'Linux' to limit the system.
SELECT Computer, Title, KBID, Classification, PublishedDate
FROM Update
WHERE UpdateState = 'Needed' AND NOT Optional
