-- Office activity for a user
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // Replace the UPN in the query with the UPN of the user of interest
--   let v_Users_UPN= "osotnoc@contoso.com";
--   OfficeActivity
--   | where UserId==v_Users_UPN
--   | project TimeGenerated, OfficeWorkload, Operation, ResultStatus, OfficeObjectId, _ResourceId
-- Parameter UserId = 'osotnoc@contoso.com'
SELECT TimeGenerated, OfficeWorkload, Operation, ResultStatus, OfficeObjectId, _ResourceId
FROM OfficeActivity
WHERE UserId = {UserId:String}
