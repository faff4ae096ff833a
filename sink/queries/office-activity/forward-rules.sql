-- Creation of e-mail forward rules
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   OfficeActivity
--   | where OfficeWorkload == "Exchange"
--   | where Operation in~ ("New-TransportRule", "Set-TransportRule")
--   | extend RuleName = case(Operation =~ "Set-TransportRule", tostring(OfficeObjectId), Operation =~ "New-TransportRule", tostring(parse_json(Parameters)[1].Value), "Unknown")
--   | project  TimeGenerated, ClientIP, UserId, Operation, RuleName, _ResourceId
SELECT
    TimeGenerated, ClientIP, UserId, Operation,
    if(lower(Operation) = 'set-transportrule', OfficeObjectId,
        JSONExtractString(JSONExtractArrayRaw(Parameters)[2], 'Value')) AS RuleName,
    _ResourceId
FROM OfficeActivity
WHERE OfficeWorkload = 'Exchange' AND lower(Operation) IN ('new-transportrule', 'set-transportrule')
