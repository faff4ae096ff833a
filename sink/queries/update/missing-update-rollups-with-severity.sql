-- All computers with missing update rollups, and how severe these are
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Update Optional=false Classification="Update Rollups" UpdateState=Needed | select Computer,Title,KBID,Classification,UpdateSeverity,PublishedDate
SELECT Computer, Title, KBID, Classification, UpdateSeverity, PublishedDate
FROM Update
WHERE NOT Optional AND Classification = 'Update Rollups' AND UpdateState = 'Needed'
