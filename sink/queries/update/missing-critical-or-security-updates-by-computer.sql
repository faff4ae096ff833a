-- Missing security or critical updates: how many security or other critical updates are missing
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Update
--   | where Classification in ("Security Updates", "Critical Updates")
--   | where UpdateState == 'Needed' and Optional == false and Approved == true
--   | summarize count() by Classification, Computer, _ResourceId
--   // This query requires the Security or Update solutions
SELECT Classification, Computer, _ResourceId, count() AS count_
FROM Update
WHERE Classification IN ('Security Updates', 'Critical Updates')
    AND UpdateState = 'Needed' AND NOT Optional AND Approved
GROUP BY Classification, Computer, _ResourceId
ORDER BY count_ DESC, Computer, Classification
