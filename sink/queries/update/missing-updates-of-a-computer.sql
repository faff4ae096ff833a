-- Missing updates for a specific computer
--
-- Source: Update Management solution in Azure, June 2018
-- Original (KQL):
--   Update
--   | where UpdateState == "Needed" and Optional == false
--   | where Computer == "ContosoVM1.contoso.com"
--   | project Computer, Title, KBID, Product, PublishedDate
-- Parameter Computer = 'ContosoVM1.contoso.com'
SELECT Computer, Title, KBID, Product, PublishedDate
FROM Update
WHERE Computer = {Computer:String} AND UpdateState = 'Needed' AND NOT Optional
