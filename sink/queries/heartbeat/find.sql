-- Find in Heartbeat: search for a value in all columns
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // This query requires a parameter to run. Enter value in SearchValue to find in table.
--   let SearchValue =  "<SearchValue>";//Please update term you would like to find in the table.
--   Heartbeat
--   | where * contains tostring(SearchValue)
--   | take 1000
-- Parameter SearchValue = '<SearchValue>'
SELECT *
FROM Heartbeat
WHERE positionCaseInsensitive(
        concatWithSeparator('\n', * APPLY (value -> ifNull(toString(value), ''))), {SearchValue:String}) > 0
LIMIT 1000
