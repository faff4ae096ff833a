-- All computers with missing updates, and how severe these are
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Update UpdateState=Needed Optional=false | select Computer,Title,KBID,Classification,UpdateSeverity,PublishedDate
SELECT Computer, Title, KBID, Classification, UpdateSeverity, PublishedDate
FROM Update
WHERE UpdateState = 'Needed' AND NOT Optional
