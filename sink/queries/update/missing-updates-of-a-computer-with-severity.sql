-- Missing updates for a specific computer, and how severe these are
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Update UpdateState=Needed Optional=false Computer="COMPUTER01.contoso.com" | select Computer,Title,KBID,Product,UpdateSeverity,PublishedDate
-- Note: The old language compares without case.
-- Parameter Computer = 'COMPUTER01.contoso.com'
SELECT Computer, Title, KBID, Product, UpdateSeverity, PublishedDate
FROM Update
WHERE lower(Computer) = lower({Computer:String}) AND UpdateState = 'Needed' AND NOT Optional
